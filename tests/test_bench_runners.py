import os
import random
import signal
import sys
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from interlayer import InputError
from interlayer.app.studies import app
from interlayer.evaluation.studies import Job, local_slots, reading, stream, writing
from interlayer.evaluation.studies.runners import crew, processes
from interlayer.evaluation.studies.worker import Worker

from .bench_studies import Inline, jobs, outcome, results

KILLS = ["worker", "worker", "worker", "writer", "writer"]
LAST = 40  # jobs that are not waited for, lest the study be over before it is killed


def singly(planned: list[Job]) -> list[tuple[Job, ...]]:
    return [(job,) for job in planned]


def finish(batch):
    return [outcome(job) for job in batch]


def test_every_batch_is_run_once_and_drawn_when_a_worker_is_free():
    planned, drawn, run = jobs("generated:0-9"), 0, 0

    def draw():
        nonlocal drawn
        for batch in singly(planned):
            assert drawn == run
            drawn += 1
            yield batch

    def work(batch):
        nonlocal run
        run += 1
        return finish(batch)

    slots, seen = [Inline(work) for _ in range(3)], Counter[str]()
    for outcomes in stream(slots, draw()):
        seen.update(each.job.id for each in outcomes)
    assert seen == Counter(job.id for job in planned)
    assert all(slot.stopped for slot in slots)


def test_workers_have_their_next_batch_while_outcomes_are_stored():
    run = list[Job]()

    def work(batch):
        run.extend(batch)
        return finish(batch)

    counts = [len(run) for _ in stream([Inline(work)], singly(jobs()[:4]))]
    assert counts == [2, 3, 4, 4]


def test_a_job_that_kills_its_workers_fails_and_the_others_do_not():
    planned = jobs()

    def work(batch):
        if batch[0] == planned[3]:
            raise RuntimeError("killed")
        return finish(batch)

    found = [each for out in stream([Inline(work), Inline(work)], singly(planned)) for each in out]
    assert [each.job for each in found if each.error] == [planned[3]]
    assert len(found) == len(planned)


def test_a_job_whose_worker_died_once_is_run_again():
    planned, deaths = jobs(), iter([True, False, True])

    def work(batch):
        if next(deaths, False):
            raise RuntimeError("killed")
        return finish(batch)

    found = [each for out in stream([Inline(work)], singly(planned)) for each in out]
    assert {each.job.id for each in found} == {job.id for job in planned}
    assert all(each.error is None for each in found)


def test_a_worker_that_finds_no_node_holds_up_nothing():
    planned = jobs()
    slots = [Inline(finish), Inline(finish, starts=False)]
    assert sum(len(out) for out in stream(slots, singly(planned))) == len(planned)


def test_no_job_is_started_once_the_budget_is_spent():
    spent = iter([False] * 4 + [True] * 9)
    assert len(list(stream([Inline(finish)], singly(jobs()), lambda: next(spent)))) == 4


def test_workers_that_cannot_start_are_given_up():
    class Stillborn(Inline):
        def start(self):
            future = super().start()
            future.set_exception(RuntimeError("Traceback\nno such library"))
            return future

    with pytest.raises(InputError, match="die while they start: no such library$"):
        list(stream([Stillborn(finish, starts=False)], singly(jobs())))


@pytest.mark.parametrize("cores", [[1], [2], [7], [64], [4, 4], [3, 96]])
@pytest.mark.parametrize("workers", [None, 1, 2, 5])
def test_no_core_is_used_twice(cores, workers):
    count, threads = crew(cores, workers)
    assert threads <= min(cores)
    assert count * threads <= max(sum(cores), count)
    assert workers in (None, count)


@pytest.fixture
def start():
    """Starts the command in a process of its own, which is ended with the test at the latest."""
    started: list[BaseProcess] = []

    def start(*arguments: str) -> BaseProcess:
        context: Any = processes()
        started.append(context.Process(target=app, args=(arguments,)))
        started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_a_study_killed_at_five_random_moments_is_whole_in_the_end(tmp_path: Path, start):
    settings = {"tasks": "inpaint:0.2,superres:4", "methods": "csgm,interpolation"}
    planned = jobs(
        "generated:0-9", seeds="0-4", **{name: each.split(",") for name, each in settings.items()}
    )
    arguments = ["run", "--images", "generated:0-9", "--seeds", "0-4", "--generator", "toy"]
    arguments += [text for name, each in settings.items() for text in (f"--{name}", each)]
    arguments += ["--quality", "draft", "--workers", "2", "--store", str(tmp_path / "study.db")]
    draw, store = random.Random(0), tmp_path / "study.db"
    moments = sorted(draw.sample(range(len(planned) - LAST), len(KILLS)))
    command = start(*arguments)
    for victim, moment in zip(draw.sample(KILLS, len(KILLS)), moments, strict=True):
        wait_for(lambda pid=command.pid, at=moment: workers_of(pid) and done(store) >= at)
        time.sleep(draw.uniform(0, 0.2))
        workers = workers_of(command.pid)
        assert done(store) < len(planned), "it was over before it was killed"
        if victim == "worker":
            os.kill(draw.choice(workers), signal.SIGKILL)
            continue
        command.kill()
        wait_for(lambda those=workers: not any(map(alive, those)))
        command = start(*arguments)
    command.join()
    assert command.exitcode == 0 and len(planned) == 200
    with reading(store) as study, writing(tmp_path / "whole.db") as whole:
        assert study.jobs() == planned and not study.pending(planned)
        whole.plan(planned)
        threads = torch.get_num_threads()
        worker = Worker(local_slots(2)[0].setup)
        whole.record(each for job in planned for each in worker.run([job]))
        torch.set_num_threads(threads)
        assert results(study) == results(whole)


def done(store: Path) -> int:
    """How many results there are."""
    if not store.exists():
        return 0
    try:
        with reading(store) as study:
            return sum(row["status"] != "pending" for row in study.rows())
    except InputError:  # the first process is just making it
        return 0


def children(pid: int | None) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except FileNotFoundError:
        return []


def workers_of(pid: int | None) -> list[int]:
    """The workers of a command, which are the children of its children."""
    return [worker for server in children(pid) for worker in children(server)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition) -> None:
    deadline = time.monotonic() + 250
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
