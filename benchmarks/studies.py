"""Cost of a study beyond its jobs: with jobs of a second, and with ten thousand of no time.

    python benchmarks/studies.py [--jobs N] [--out FILE]

Two worker processes, on this machine and through Ray if it is installed. A worker sleeps and
returns an outcome with four stages and three pictures of random bytes; all else is as in
`interlayer bench run`. There is one job of a second for every hundred of no time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from interlayer.evaluation.studies import Job, Outcome, local_slots, plan, stream, writing
from interlayer.evaluation.studies.jobs import StageFigures, batches
from interlayer.evaluation.studies.ray_runner import RaySlot, ray_slots
from interlayer.evaluation.studies.runners import LocalSlot, Slot
from interlayer.evaluation.studies.spec import checked
from interlayer.evaluation.studies.worker import Worker

RESULTS = Path(__file__).parent / "results" / "studies.json"
WORKERS = 2
FEWEST = 100 * 2 * WORKERS  # two jobs of a second for each worker
PICTURE = 10_000  # bytes
STAGE = StageFigures(0, 30, 20.0, 0.1, 0.1, 0.0, 0.25)


class Trivial(Worker):
    """A worker whose jobs take no time."""

    seconds = 0.0

    def run(
        self, jobs: Sequence[Job], contents: Mapping[str, bytes] | None = None
    ) -> list[Outcome]:
        time.sleep(self.seconds)
        return [self.outcome(job) for job in jobs]

    def outcome(self, job: Job) -> Outcome:
        draw = random.Random(job.id)
        return Outcome(
            job,
            figures={"psnr": 20.0, "ssim": 0.9, "mse": 0.01},
            seconds=self.seconds,
            stages=(STAGE,) * 4,
            pictures={kind: draw.randbytes(PICTURE) for kind in ("truth", "measured", "recovered")},
            environment=self.environment,
        )


class Sleeping(Trivial):
    """A worker whose jobs take a second."""

    seconds = 1.0


def planned(count: int) -> list[Job]:
    """That many jobs."""
    settings = {"images": "generated:0", "tasks": "inpaint:0.5", "methods": "csgm"}
    [job] = plan(checked(settings | {"generator": "toy"}), print)
    return [replace(job, seed=seed) for seed in range(count)]


def resident() -> float:
    """Memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def crew(place: str, kind: type[Worker]) -> Iterator[list[Slot]]:
    """Two workers of a class."""
    if place == "ray":
        with ray_slots("local", WORKERS) as slots:
            yield [RaySlot(slot.ray, slot.setup, kind=kind) for slot in slots]
    else:
        yield [LocalSlot(slot.setup, kind) for slot in local_slots(WORKERS)]


def measured(slots: Sequence[Slot], count: int, seconds: float) -> dict[str, float]:
    """Run jobs into a new store; times are of the wall but for ``processor_ms_per_job``."""
    jobs, marks = planned(count), list[tuple[float, float]]()
    with tempfile.TemporaryDirectory() as folder, writing(Path(folder) / "study.db") as study:
        study.plan(jobs)
        started, processor = time.perf_counter(), time.process_time()
        for outcomes in stream(slots, batches(jobs, 1)):
            study.record(outcomes)
            marks.append((time.perf_counter(), resident()))
        processor = time.process_time() - processor
        assert not study.pending(jobs)
    first, last = marks[0][0], marks[-1][0]
    found = {
        "jobs": count,
        "start_seconds": first - started - seconds,
        "seconds": last - first,
        "per_second": (count - 1) / (last - first),
        "processor_ms_per_job": 1000 * processor / count,
    }
    found |= {f"mb_at_{part}_percent": marks[count * part // 100 - 1][1] for part in (10, 50, 100)}
    if seconds:  # the two workers' first jobs end at about the same time
        found["overhead"] = (last - first) / (seconds * (count / len(slots) - 1)) - 1
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.jobs < FEWEST:
        parser.error(f"give at least {FEWEST} jobs")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for place in ("local", "ray") if find_spec("ray") else ("local",):
        for kind in (Trivial, Sleeping):
            count = options.jobs // 100 if kind.seconds else options.jobs
            with crew(place, kind) as slots:
                result = measured(slots, count, kind.seconds)
            found.setdefault(place, {})[kind.__name__.lower()] = result
            print(place, kind.__name__.lower(), json.dumps(result), flush=True)
    options.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
