"""One recovery as files: pictures, an animation, measurements and figures."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from deepinv.loss.metric import PSNR
from torch import Tensor

from interlayer.evaluation.quality import metrics, number_or_none
from interlayer.media.files import write_text
from interlayer.media.images import contact_sheet, write_gif, write_image
from interlayer.problem.measurements import save_problem
from interlayer.problem.pictures import back_projection, picture_of
from interlayer.problem.problem import Problem
from interlayer.solver.records import Samples, Solution, State

GIF_FRAMES = 48
GIF_SIZE = 256


class Animation:
    """Small pictures of a run at equal shares of its work, for an animation."""

    def __init__(self) -> None:
        self.pictures: list[Tensor] = []

    def offer(self, state: State) -> None:
        """Keep the state's picture if it is time for one."""
        if state.progress * GIF_FRAMES >= len(self.pictures):
            self.pictures.append(F.interpolate(state.x, (GIF_SIZE, GIF_SIZE), mode="area"))

    def write(self, path: Path, last: Tensor) -> None:
        """Write the animation, which ends with the picture ``last`` (1, 3, H, W)."""
        write_gif(path, [*self.pictures, last], size=GIF_SIZE)


def report(solution: Solution, x: Tensor | None, interrupted: bool) -> dict[str, Any]:
    """The figures of ``result.json`` for one image; null where the truth they need is missing."""
    stages = [
        {
            "layer": record.layer,
            "steps": record.steps,
            "radius": None if record.stage is None else record.stage.radius,
            "psnr": None if x is None else PSNR()(record.x_hat, x).item(),
            "deviation": record.deviation.item(),
            "measurement_loss": record.loss.item(),
            "holdout_loss": number_or_none(record.holdout_loss),
            "undone": int(record.undone.item()),
            "seconds": round(record.seconds, 2),
        }
        for record in solution.stages
    ]
    last = solution.stages[-1]
    truth = {"psnr": None, "ssim": None, "mse": None}
    return {
        **(truth if x is None else metrics(solution.x_hat, x)),
        "measurement_loss": last.loss.item(),
        "holdout_loss": number_or_none(last.holdout_loss),
        "seconds": round(solution.seconds, 2),
        "steps": solution.steps,
        "interrupted": interrupted,
        "stages": stages,
        "dtype": str(solution.x_hat.dtype).removeprefix("torch."),
        "versions": {
            name: version(name) for name in ("interlayer", "torch", "deepinv", "numpy", "pillow")
        }
        | {"python": platform.python_version()},
    }


def write_results(
    folder: Path,
    problem: Problem,
    solution: Solution,
    x: Tensor | None,
    result: dict[str, Any],
    animation: Animation,
) -> None:
    """Write the pictures, the animation, the measurements and ``result.json`` of one recovery.

    Args:
        folder: folder for the files, which is created.
        problem: measurements of a task.
        solution: solution of the problem.
        x: the truth (1, 3, H, W), if there is one.
        result: figures, see `report`.
        animation: pictures of the run.
    """
    task = problem.task
    assert task is not None
    folder.mkdir(parents=True, exist_ok=True)
    measured = picture_of(problem, task.img_size[-1])
    quality = "" if x is None else f"\n{result['psnr']:.1f} dB"
    panels = [] if x is None else [("truth", x)]
    panels.append((f"measured\n{Path(task.text).name if task.tensors else task.text}", measured))
    if problem.linear:
        panels.append(("back-projected", back_projection(problem)))
    panels.append((f"recovered{quality}", solution.x_hat))
    write_image(folder / "recovered.png", solution.x_hat)
    write_image(folder / "measured.png", measured)
    write_image(folder / "comparison.png", contact_sheet(panels))
    animation.write(folder / "progress.gif", solution.x_hat)
    save_problem(problem, folder / "measurements.pt")
    write_text(folder / "result.json", json.dumps(result, indent=2) + "\n")
    if solution.samples is not None:
        write_samples(folder, solution.samples)


def write_samples(folder: Path, samples: Samples) -> None:
    """Write each sample, and their standard deviation with white for its largest value."""
    for number, x in enumerate(samples.images, start=1):
        write_image(folder / f"sample{number}.png", x[None])
    if samples.std is not None:
        std = samples.std.mean(1, keepdim=True)
        write_image(folder / "std.png", (std / std.max().clamp_min(1e-12)).expand(-1, 3, -1, -1))
