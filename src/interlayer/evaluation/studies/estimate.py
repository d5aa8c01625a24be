"""Forecast of the time that a study will take."""

from __future__ import annotations

import time
from collections.abc import Iterable

import torch

from interlayer.evaluation.studies.jobs import Job
from interlayer.evaluation.studies.worker import Setup, Worker

TRIALS = 3


def spoken(seconds: float) -> str:
    """Length of time as a person says it.

    >>> spoken(42), spoken(5000), spoken(400_000)
    ('42 s', '1.4 h', '4.6 days')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def seconds_of(jobs: Iterable[Job], setup: Setup, limit: float = 10) -> float:
    """Seconds that one worker would take for some jobs, from a trial of one job of every cell.

    A cell is a task and a method; the trial is of its first job, or of one of the next two where
    that fails, as a damaged image does. A trial ends after ``limit`` seconds and is extended by the
    share of the work that the method says is done. A cell whose trials fail takes no time.
    """
    cells: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        cells.setdefault((job.task, job.method, job.quality, job.steps, job.generator), []).append(
            job
        )
    threads, worker = torch.get_num_threads(), Worker(setup)
    try:
        return sum(
            len(cell) * next(filter(None, (_trial(worker, job, limit) for job in cell[:TRIALS])), 0)
            for cell in cells.values()
        )
    finally:
        torch.set_num_threads(threads)


def _trial(worker: Worker, job: Job, limit: float) -> float:
    started = time.perf_counter()
    try:
        for state in worker.trial(job):
            taken = time.perf_counter() - started
            if taken > limit and state.progress > 0:
                return taken / state.progress
    except Exception:  # whatever it is, `run` records it
        return 0.0
    return time.perf_counter() - started
