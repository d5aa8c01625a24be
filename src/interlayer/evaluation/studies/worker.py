"""Workers that run jobs: one per process, holding the generator."""

from __future__ import annotations

import io
import os
import platform
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from multiprocessing import parent_process
from pathlib import Path

import torch
import torch.nn.functional as F
from deepinv.loss.metric import PSNR
from torch import Tensor

from interlayer.errors import InputError
from interlayer.evaluation.quality import (
    coverage,
    has_distance,
    metrics,
    number_or_none,
    pull_distance,
)
from interlayer.evaluation.studies.jobs import (
    Job,
    Outcome,
    StageFigures,
    generator_digest,
    open_generator,
    task_digest,
)
from interlayer.evaluation.studies.sources import GENERATED
from interlayer.evaluation.studies.store import ORACLE
from interlayer.generators.base import Generator, draw_truths
from interlayer.media.files import digest
from interlayer.media.images import read_image, to_picture
from interlayer.media.samples import SAMPLE, sample_photo
from interlayer.memory import keep_freed_memory
from interlayer.methods.classical import CLASSICAL
from interlayer.problem.measurements import measure
from interlayer.problem.pictures import picture_of
from interlayer.problem.problem import Problem
from interlayer.solver.by_name import reconstruct
from interlayer.solver.records import Settings, Solution, StageRecord, State


@dataclass(frozen=True)
class Setup:
    """Threads and device of a worker.

    Attributes:
        threads: number of threads of its process.
        device: ``cpu`` or ``cuda``.
    """

    threads: int
    device: str = "cpu"


class Worker:
    """A worker that runs batches of jobs and keeps the generator from one to the next.

    >>> from interlayer.evaluation.studies.spec import checked, plan
    >>> spec = checked(
    ...     {"images": "generated:3", "tasks": "inpaint:0.5", "methods": "csgm", "generator": "toy"}
    ... )
    >>> [outcome] = Worker(Setup(torch.get_num_threads())).run(plan(spec, print))
    >>> outcome.error, sorted(outcome.figures)
    (None, ['mse', 'oracle_psnr', 'psnr', 'ssim'])
    """

    def __init__(self, setup: Setup) -> None:
        self.device = setup.device
        torch.set_num_threads(setup.threads)
        keep_freed_memory()
        names = ("interlayer", "torch", "deepinv", "numpy", "pillow")
        self.environment = {name: version(name) for name in names} | {
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "threads": str(setup.threads),
            "device": "cpu" if setup.device == "cpu" else torch.cuda.get_device_name(setup.device),
        }

    def ready(self) -> int:
        """Number of the process."""
        return os.getpid()

    def run(
        self, jobs: Sequence[Job], contents: Mapping[str, bytes] | None = None
    ) -> list[Outcome]:
        """Run jobs that share a problem; outcomes are in any order, and a failure is one too.

        Args:
            jobs: jobs of one `Job.problem`.
            contents: bytes of image files by their source, where the worker does not see the files.
        """
        outcomes: list[Outcome] = []
        truths: dict[Job, Tensor] = {}
        for job in jobs:
            try:
                truths[job] = self._truth(job, (contents or {}).get(job.source))
            except Exception as error:
                outcomes.append(Outcome(job, _sentence(error)))
        try:
            outcomes += self._recover(truths) if truths else []
        except Exception as error:
            if len(truths) == 1:
                return [*outcomes, *(Outcome(job, _sentence(error)) for job in truths)]
            for job in truths:  # one by one, so that only the image at fault fails
                outcomes += self.run([job], contents)
        return outcomes

    def _truth(self, job: Job, content: bytes | None) -> Tensor:
        """The image (1, 3, H, W) of a job."""
        generator = _generator(job, self.device)
        if job.source.startswith(GENERATED):
            return draw_truths(generator, [int(job.source.removeprefix(GENERATED))]).cpu()
        if job.source.startswith(SAMPLE):
            return sample_photo(job.source.removeprefix(SAMPLE), generator.resolution)
        if content is None:
            return _read(Path(job.source), job, generator)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / Path(job.source).name
            file.write_bytes(content)
            return _read(file, job, generator)

    def _recover(self, truths: Mapping[Job, Tensor]) -> list[Outcome]:
        """Recover a batch; the truth is looked at beside the method, which does not see it."""
        jobs, x = list(truths), torch.cat(list(truths.values()))
        problem, states = self._states(jobs[0], x)
        truth, state = x.to(self.device), None
        nearest = torch.full((len(x),), -torch.inf, device=self.device)
        for state in states:
            nearest = nearest.maximum(PSNR()(state.x, truth))
        assert state is not None
        solution = state.solution()
        outcomes = [self._outcome(job, row, x, problem, solution) for row, job in enumerate(jobs)]
        if solution.samples is not None:  # whose mean is no iterate
            return outcomes
        return [
            replace(o, figures={**o.figures, ORACLE: max(oracle, o.figures["psnr"])})
            for o, oracle in zip(outcomes, nearest.tolist(), strict=True)
        ]

    def trial(self, job: Job) -> Iterator[State]:
        """Yield the steps of one job, to be timed; raises what `run` would record."""
        return self._states(job, self._truth(job, None))[1]

    def _states(self, job: Job, x: Tensor) -> tuple[Problem, Iterator[State]]:
        """Measurements of images and the steps of their recovery."""
        if task_digest(job.task) != job.task_sha256:
            raise InputError(f"a file of {job.task} has changed; run the study's command again")
        problem = measure(x, job.task, job.seed)
        states = reconstruct(
            Problem(problem.physics.to(self.device), problem.y.to(self.device)),
            _generator(job, self.device),
            job.method,
            quality=job.quality,
            steps=job.steps,
            samples=1 if job.method in CLASSICAL else job.samples,
            settings=Settings(job.seed, job.holdout),
        )
        return problem, states

    def _outcome(
        self, job: Job, row: int, x: Tensor, problem: Problem, solution: Solution
    ) -> Outcome:
        one = slice(row, row + 1)
        truth, x_hat = x[one], solution.x_hat[one].cpu()
        pictures: dict[str, bytes] = {}
        if job.pictures:
            size = min(job.pictures, x.shape[-1])
            measured = picture_of(problem.alone(row), size)
            shown = {"truth": truth, "measured": measured, "recovered": x_hat}
            pictures = {name: _png(image, size) for name, image in shown.items()}
        return Outcome(
            job,
            figures=metrics(x_hat, truth) | _calibration(solution, truth),
            seconds=solution.seconds / len(x),
            stages=tuple(_stage(record, row, truth, len(x)) for record in solution.stages),
            pictures=pictures,
            environment=self.environment,
        )


@lru_cache(maxsize=1)
def _load(name: str, sha256: str, label: int | None, precision: str, device: str) -> Generator:
    if generator_digest(name) != sha256:
        raise InputError(f"the generator {name} has changed; run the study's command again")
    generator = open_generator(name, label, precision, device)
    if has_distance(generator.channels, generator.resolution):
        pull_distance()  # another machine's worker may have none yet
    return generator


def _generator(job: Job, device: str) -> Generator:
    return _load(job.generator, job.generator_sha256, job.label, job.precision, device)


def _read(file: Path, job: Job, generator: Generator) -> Tensor:
    """A picture at the generator's size, if it is still the one that was planned with."""
    x = read_image(file, generator.resolution)
    if digest(file.read_bytes()) != job.image_sha256:
        raise InputError(f"{job.source} has changed; run the study's command again")
    return x


def _stage(record: StageRecord, row: int, truth: Tensor, batch: int) -> StageFigures:
    return StageFigures(
        layer=record.layer,
        steps=record.steps,
        psnr=PSNR()(record.x_hat[row : row + 1].cpu(), truth).item(),
        measurement_loss=record.loss[row].item(),
        holdout_loss=number_or_none(record.holdout_loss[row]),
        deviation=number_or_none(record.deviation[row]),
        seconds=record.seconds / batch,
    )


def _calibration(solution: Solution, x: Tensor) -> dict[str, float]:
    """Figures of the spread of several samples; nothing where there is one."""
    if solution.samples is None:
        return {}
    samples = solution.samples.images.cpu()
    return {"coverage": coverage(samples, x), "std": samples.std(0).mean().item()}


def _png(x: Tensor, size: int) -> bytes:
    file = io.BytesIO()
    to_picture(F.interpolate(x, (size, size), mode="area")).save(file, "PNG")
    return file.getvalue()


def _sentence(error: Exception) -> str:
    """Error on one line."""
    if isinstance(error, InputError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


_worker: Worker | None = None


def end_with_parent() -> None:
    """Make this process end when its parent does, however that ends.

    The keyboard's interrupt is left to the parent, which is in the same terminal.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    # A pool's worker does not see that a killed parent is gone: it holds both ends of their pipe.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def start_here(kind: type[Worker], setup: Setup) -> int:
    """Make this process a worker, and return the process's number."""
    global _worker
    _worker = kind(setup)
    return _worker.ready()


def run_here(jobs: Sequence[Job]) -> list[Outcome]:
    """Run jobs in the process that `start_here` was called in; see `Worker.run`."""
    assert _worker is not None
    return _worker.run(jobs)
