"""Small studies for the tests of `interlayer.evaluation.studies`."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from interlayer.evaluation.studies import Job, Outcome, Store, plan
from interlayer.evaluation.studies.jobs import StageFigures
from interlayer.evaluation.studies.spec import checked

TASKS = ["circulant:0.2", "inpaint:0.2", "superres:4"]


def jobs(images: object = "generated:0-1", **settings: object) -> list[Job]:
    """Jobs for the small generator."""
    values = {"images": images, "tasks": TASKS, "methods": ["csgm", "ilo"], "generator": "toy"}
    return plan(checked(values | {"quality": "draft"} | settings), lambda _: None)


def outcome(job: Job, psnr: float = 20.0, error: str | None = None) -> Outcome:
    """What might have come of a job."""
    if error:
        return Outcome(job, error)
    stage = StageFigures(0, 10, psnr, 0.1, None, 0.0, 0.5)
    pictures = {kind: kind.encode() for kind in ("truth", "measured", "recovered")}
    figures = {"psnr": psnr, "ssim": 0.9, "mse": 0.01}
    return Outcome(job, None, figures, 0.5, (stage,), pictures, {"torch": "2"})


def results(store: Store) -> dict[str, tuple]:
    """What must not depend on how a study was run: figures, stages and pictures of every job."""
    found = {}
    for each in store.outcomes():
        stages = [replace(stage, seconds=0) for stage in each.stages]
        found[each.job.id] = (each.error, dict(each.figures), stages, dict(each.pictures))
    return found


class Inline:
    """A worker in this process; what it is asked to do may raise, which is its death."""

    def __init__(self, work: Callable[[tuple[Job, ...]], list[Outcome]], starts: bool = True):
        self.work, self.starts, self.stopped = work, starts, False

    def start(self) -> Future[int]:
        future: Future[int] = Future()
        if self.starts:
            future.set_result(0)
        return future

    def submit(self, batch: tuple[Job, ...]) -> Future[list[Outcome]]:
        future: Future[list[Outcome]] = Future()
        try:
            future.set_result(self.work(batch))
        except RuntimeError as death:
            future.set_exception(death)
        return future

    def stop(self) -> None:
        self.stopped = True
