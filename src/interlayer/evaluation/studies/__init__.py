"""Studies: images x tasks x methods x seeds, run anywhere, kept in one file, shown on one page."""

from interlayer.evaluation.studies.jobs import Job, Outcome
from interlayer.evaluation.studies.runners import local_slots, stream
from interlayer.evaluation.studies.spec import Spec, plan
from interlayer.evaluation.studies.store import Store, reading, writing

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
