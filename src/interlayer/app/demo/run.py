"""One recovery as the page shows it: live updates, then everything there is to download."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch.nn.functional as F
from deepinv.physics import Physics
from PIL import Image
from torch import Tensor

from interlayer.app.demo.choices import MASK_FILE
from interlayer.app.results import GIF_FRAMES, GIF_SIZE, report, write_results
from interlayer.generators import Generator
from interlayer.media.images import to_tensor, write_image
from interlayer.problem.measurements import Measurements
from interlayer.problem.tasks import make_physics
from interlayer.solver.by_name import reconstruct
from interlayer.solver.records import State

INTERVAL = 0.3  # seconds between updates, at least
HOLDOUT = 0.1


@dataclass(frozen=True)
class Job:
    """What a visitor asked for.

    Attributes:
        picture: the truth, 8-bit RGB at the generator's size, so that its PNG file is exact.
        task: as `make_physics` knows it.
        method: as `reconstruct` knows it.
        quality: likewise.
        seed: of everything random.
        samples: how many solutions to find; their mean is the estimate.
        masks: as `make_physics` takes them.
    """

    picture: Image.Image
    task: str
    method: str
    quality: str
    seed: int
    samples: int = 1
    masks: dict[str, Tensor] = field(default_factory=dict)

    @property
    def x(self) -> Tensor:
        """The picture as (1, 3, H, W) in [0, 1]."""
        return to_tensor(self.picture)

    def measured(self) -> tuple[Measurements, Physics]:
        """Its measurements, and the operator that made them."""
        x = self.x
        img_size = tuple(x.shape[1:])
        physics = make_physics(self.task, img_size, self.seed, masks=self.masks)
        return Measurements(physics(x), self.task, self.seed, img_size, self.masks), physics


@dataclass(frozen=True)
class Update:
    """How a recovery stands: ``x`` (1, 3, H, W) in [0, 1], what is left of it in seconds."""

    x: Tensor
    label: str
    loss: float
    progress: float
    seconds_left: float


@dataclass(frozen=True)
class Outcome:
    """What a recovery has come to: the figures of ``result.json``, and files by their names."""

    result: dict[str, Any]
    files: dict[str, bytes]


def run(
    job: Job,
    generator: Generator,
    name: str,
    *,
    stopped: Callable[[], bool] = lambda: False,
    max_seconds: float = float("inf"),
) -> Iterator[Update | Outcome]:
    """Measure and recover: updates at most every `INTERVAL` seconds, and at last the outcome.

    Args:
        job: what to do.
        generator: the prior.
        name: of the generator on the command line.
        stopped: asked at every step; once it is true the best so far is the outcome.
        max_seconds: after which it is stopped too.

    Raises:
        InputError: if the task or the method does not suit.
    """
    measurements, physics = job.measured()
    states = reconstruct(
        physics,
        measurements.y,
        generator,
        job.method,
        quality=job.quality,
        seed=job.seed,
        holdout=HOLDOUT,
        samples=job.samples,
    )
    started, shown, frames = time.monotonic(), float("-inf"), list[Tensor]()
    state, interrupted = None, False
    for state in states:
        now = time.monotonic()
        if state.progress * GIF_FRAMES >= len(frames):
            frames.append(F.interpolate(state.x, (GIF_SIZE, GIF_SIZE), mode="area"))
        if now - shown >= INTERVAL:
            shown = now
            yield _update(state, now - started)
        if state.progress < 1 and (stopped() or now - started > max_seconds):
            interrupted = True
            break
    assert state is not None
    solution = state.solution()
    result = _described(job, generator, name) | report(solution, job.x, interrupted)
    with TemporaryDirectory() as folder:
        write_results(Path(folder), measurements, physics, solution, job.x, result, frames)
        files = _kept(Path(folder), job)
    files["repeat.sh"] = (command(job, name) + "\n").encode()
    files["repeat.py"] = python(job, name).encode()
    yield Outcome(result, files)


def command(job: Job, name: str) -> str:
    """The command line that repeats a job, beside its ``input.png`` and ``mask.png``."""
    words = ["interlayer", "recover", "input.png", "--task", job.task, "--method", job.method]
    words += ["--quality", job.quality, "--seed", str(job.seed)]
    words += ["--samples", str(job.samples)] if job.samples > 1 else []
    return shlex.join([*words, "--generator", name, "--out", "repeated"])


def python(job: Job, name: str) -> str:
    """Ten lines of Python that repeat a job, beside its ``input.png`` and ``mask.png``."""
    settings = f"{job.method!r}, quality={job.quality!r}, seed={job.seed}"
    settings += f", samples={job.samples}" if job.samples > 1 else ""
    return f"""\
import interlayer as il
from interlayer.solver.by_name import reconstruct

G = il.load({name!r})
x = il.read_image("input.png", size=G.resolution)
physics = il.make_physics({job.task!r}, x.shape[1:], seed={job.seed})
for state in reconstruct(physics, physics(x), G, {settings}):
    print(f"{{state.label}}: {{state.progress:.0%}}")
x_hat = state.solution().x_hat
il.write_image("recovered.png", x_hat)
print(f"PSNR {{-10 * (x_hat - x).square().mean().log10():.2f}} dB")
"""


def _update(state: State, elapsed: float) -> Update:
    left = elapsed * (1 - state.progress) / max(state.progress, 1e-9)
    return Update(state.x, state.label, state.loss.mean().item(), state.progress, left)


def _described(job: Job, generator: Generator, name: str) -> dict[str, Any]:
    """What was asked for, as ``result.json`` says it."""
    return {
        "task": job.task,
        "method": job.method,
        "quality": job.quality,
        "seed": job.seed,
        "samples": job.samples,
        "generator": name,
        "precision": str(generator.precision).removeprefix("torch."),
        "holdout": HOLDOUT,
    }


def _kept(folder: Path, job: Job) -> dict[str, bytes]:
    """The results in a folder, with what the command line needs to make them again."""
    write_image(folder / "input.png", job.x)
    for mask in job.masks.values():
        write_image(folder / MASK_FILE, mask.expand(-1, 3, -1, -1))
    (folder / "measurements.pt").unlink()  # large, and the command makes them again
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
