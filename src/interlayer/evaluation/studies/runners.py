"""Batches of jobs in the hands of workers, each a process of its own, here or on a cluster."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from typing import Any, Protocol

from interlayer.errors import InputError
from interlayer.evaluation.studies.jobs import Job, Outcome
from interlayer.evaluation.studies.worker import (
    Setup,
    Worker,
    end_with_parent,
    run_here,
    start_here,
)

Batch = tuple[Job, ...]
ATTEMPTS = 3
THREADS = 4


class Slot(Protocol):
    """A place for one worker process, which can be started anew when it has died."""

    def start(self) -> Future[int]:
        """Start the worker; the future is done when it takes jobs."""
        ...

    def submit(self, batch: Batch) -> Future[list[Outcome]]:
        """Run a batch; the future has an exception only if the worker died."""
        ...

    def stop(self) -> None:
        """End the worker, whatever it is doing."""
        ...


def stream(
    slots: Sequence[Slot], batches: Iterable[Batch], stop: Callable[[], bool] = lambda: False
) -> Generator[list[Outcome], None, None]:
    """Run batches on the workers and yield their outcomes as they come.

    Every worker has one batch under way at most, and none is drawn from ``batches`` before a worker
    is free. Outcomes are yielded when their workers have been given the next batch, so that none
    waits while they are stored. When a worker dies, its batch goes to another and it is started
    anew; a batch that three workers died of has failed. Workers that cannot start (no node is free)
    hold up nothing.

    Args:
        slots: places of the workers; all are stopped at the end, however it comes.
        batches: groups of jobs, as `jobs.batches` gives them.
        stop: question asked before every batch; once it is true, no other is started.

    Raises:
        InputError: if workers die three times in a row while they start.
    """
    shift, finished = _Shift(iter(batches), stop), list[list[Outcome]]()
    try:
        for slot in slots:
            shift.start(slot)
        while True:
            shift.hand_out()
            yield from finished
            if shift.idle and not shift.running:
                return
            finished = shift.advance()
    finally:
        for slot in slots:
            slot.stop()


class _Shift:
    """Workers that start, run a batch or are idle, and the batches that they have to run.

    Args:
        waiting: batches that no worker has had.
        stop: question as for `stream`.
    """

    def __init__(self, waiting: Iterator[Batch], stop: Callable[[], bool]) -> None:
        self.waiting, self.stop = waiting, stop
        self.starting: dict[Future[int], Slot] = {}
        self.running: dict[Future[list[Outcome]], tuple[Slot, Batch]] = {}
        self.idle: list[Slot] = []
        self.again: list[Batch] = []
        self.deaths: Counter[Batch] = Counter()
        self.failed_starts = 0

    def start(self, slot: Slot) -> None:
        """Start a worker, which is idle once it has started."""
        self.starting[slot.start()] = slot

    def hand_out(self) -> None:
        """Give every idle worker a batch, first those whose worker died."""
        while self.idle and not self.stop() and (batch := self._next()):
            slot = self.idle.pop()
            self.running[slot.submit(batch)] = slot, batch

    def advance(self) -> list[list[Outcome]]:
        """Wait until a worker has started, finished or died, and return what is finished."""
        under_way: list[Future[Any]] = [*self.starting, *self.running]
        wait(under_way, return_when=FIRST_COMPLETED)
        for future in [each for each in self.starting if each.done()]:
            self._started(future, self.starting.pop(future))
        ended = [each for each in self.running if each.done()]
        return [found for each in ended if (found := self._ended(each, *self.running.pop(each)))]

    def _next(self) -> Batch | None:
        return self.again.pop() if self.again else next(self.waiting, None)

    def _started(self, future: Future[int], slot: Slot) -> None:
        if future.exception() is None:
            self.idle.append(slot)
            self.failed_starts = 0
            return
        self.failed_starts += 1
        if self.failed_starts == ATTEMPTS:
            reason = str(future.exception()).strip().splitlines()[-1:]
            raise InputError(f"workers die while they start: {''.join(reason)}")
        self.start(slot)

    def _ended(self, future: Future[list[Outcome]], slot: Slot, batch: Batch) -> list[Outcome]:
        """Outcomes of a batch, none if it is to be run again."""
        if future.exception() is None:
            self.idle.append(slot)
            return future.result()
        self.start(slot)
        self.deaths[batch] += 1
        if self.deaths[batch] < ATTEMPTS:
            self.again.append(batch)
            return []
        error = f"{ATTEMPTS} workers died of it; memory may be short: use fewer workers"
        return [Outcome(job, error) for job in batch]


def crew(cores: Sequence[int], workers: int | None = None) -> tuple[int, int]:
    """Number of workers, and of threads of each, that use all cores of nodes and none twice.

    >>> crew([16]), crew([2]), crew([16], workers=3), crew([8, 8, 2], workers=2)
    ((4, 4), (1, 2), (3, 5), (2, 2))
    """
    smallest = max(1, min(cores))
    if workers is not None:
        return workers, max(1, min(smallest, sum(cores) // workers))
    threads = min(THREADS, smallest)
    return max(1, sum(count // threads for count in cores)), threads


def processes() -> BaseContext:
    """Context in which worker processes are made.

    On Linux from a server that has imported what they need, so that each starts at once and shares
    the server's memory of it; elsewhere forking is not safe, and each imports it anew.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    # The main module, which each process looks at again, and what it runs.
    context.set_forkserver_preload(["interlayer.app.cli", "interlayer.evaluation.studies.worker"])
    return context


class LocalSlot:
    """A worker on this machine.

    A pool of one process, because a pool of many breaks as a whole when one of them dies.

    Args:
        setup: settings of the worker.
        kind: class of the worker.
    """

    def __init__(self, setup: Setup, kind: type[Worker] = Worker) -> None:
        self.setup, self.kind = setup, kind
        self._pool: ProcessPoolExecutor | None = None
        self._started: Future[int] = Future()

    def start(self) -> Future[int]:
        self._pool = ProcessPoolExecutor(1, processes(), end_with_parent)
        self._started = self._pool.submit(start_here, self.kind, self.setup)
        return self._started

    def submit(self, batch: Batch) -> Future[list[Outcome]]:
        assert self._pool is not None
        return self._pool.submit(run_here, batch)

    def stop(self) -> None:
        if self._pool is None:
            return
        with suppress(ProcessLookupError):
            if self._started.done() and not self._started.exception():
                os.kill(self._started.result(), signal.SIGTERM)
        self._pool.shutdown(cancel_futures=True)


def local_slots(workers: int | None = None, device: str = "cpu") -> list[LocalSlot]:
    """Workers on this machine that share its cores; by default one per four."""
    workers, threads = crew([_cores()], workers)
    return [LocalSlot(Setup(threads, device)) for _ in range(workers)]


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
