"""One recovery as files: measurements in and out, pictures a person can read, figures."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from deepinv.loss.metric import PSNR
from deepinv.physics import Inpainting, LinearPhysics, Physics
from deepinv.physics.noise import ZeroNoise
from torch import Tensor

from interlayer.errors import InputError
from interlayer.evaluation.quality import metrics, number_or_none
from interlayer.media.files import write_text
from interlayer.media.images import contact_sheet, write_gif, write_image
from interlayer.media.measured_pictures import back_projection, picture_of
from interlayer.problem.measurements import Measurements
from interlayer.solver.records import Solution

GIF_FRAMES = 48
GIF_SIZE = 256


def keep_known(x_hat: Tensor, y: Tensor, physics: Physics) -> Tensor:
    """The estimate with the measured pixels put back as they were measured.

    Raises:
        InputError: if the measurements are not noiseless pixels.
    """
    if not isinstance(physics, Inpainting) or not isinstance(physics.noise_model, ZeroNoise):
        raise InputError(
            "only pixels measured without noise can be kept; use inpaint, mask, box or half alone"
        )
    return torch.where(physics.get_buffer("mask").bool(), y, x_hat)


def report(solution: Solution, x: Tensor | None, interrupted: bool) -> dict[str, Any]:
    """The figures of ``result.json`` for one image; without the truth its figures are null."""
    stages = [
        {
            "layer": record.stage.layer,
            "steps": record.steps,
            "radius": record.stage.radius,
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
        "steps": sum(record.steps for record in solution.stages),
        "interrupted": interrupted,
        "stages": stages,
        "device": str(solution.x_hat.device),
        "dtype": str(solution.x_hat.dtype).removeprefix("torch."),
        "versions": {
            name: version(name) for name in ("interlayer", "torch", "deepinv", "numpy", "pillow")
        }
        | {"python": platform.python_version()},
    }


def write_results(
    folder: Path,
    measurements: Measurements,
    physics: Physics,
    solution: Solution,
    x: Tensor | None,
    result: dict[str, Any],
    frames: Sequence[Tensor],
) -> None:
    """Write the pictures, the animation, the measurements and ``result.json`` of one recovery."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = picture_of(measurements.y, measurements.img_size[-1])
    quality = "" if x is None else f"\n{result['psnr']:.1f} dB"
    panels = [] if x is None else [("truth", x)]
    task = Path(measurements.task).name if measurements.masks else measurements.task
    panels.append((f"measured\n{task}", measured))
    if isinstance(physics, LinearPhysics):
        panels.append(("back-projected", back_projection(measurements.y, physics)))
    panels.append((f"recovered{quality}", solution.x_hat))
    write_image(folder / "recovered.png", solution.x_hat)
    write_image(folder / "measured.png", measured)
    write_image(folder / "comparison.png", contact_sheet(panels))
    write_gif(folder / "progress.gif", [*frames, solution.x_hat], size=GIF_SIZE)
    measurements.save(folder / "measurements.pt")
    write_text(folder / "result.json", json.dumps(result, indent=2) + "\n")
    if solution.samples is not None:
        write_samples(folder, solution)


def write_samples(folder: Path, solution: Solution) -> None:
    """Write each sample, and their standard deviation with white for its largest value."""
    assert solution.samples is not None
    for number, x in enumerate(solution.samples, start=1):
        write_image(folder / f"sample{number}.png", x[None])
    if solution.std is not None:
        std = solution.std.mean(1, keepdim=True)
        write_image(folder / "std.png", (std / std.max().clamp_min(1e-12)).expand(-1, 3, -1, -1))
