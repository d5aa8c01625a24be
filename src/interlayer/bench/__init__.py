"""Studies: images x tasks x methods x seeds, run anywhere, kept in one file, shown on one page."""

from interlayer.bench.jobs import Job, Outcome
from interlayer.bench.runners import local_slots, stream
from interlayer.bench.spec import Spec, plan
from interlayer.bench.store import Store, reading, writing

__all__ = [
    "Job",
    "Outcome",
    "Spec",
    "Store",
    "local_slots",
    "plan",
    "reading",
    "stream",
    "writing",
]
