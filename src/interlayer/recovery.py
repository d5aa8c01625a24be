"""One recovery as files: measurements in and out, pictures a person can read, figures."""

from __future__ import annotations

import json
import pickle
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from deepinv.loss.metric import PSNR, SSIM
from deepinv.physics import Inpainting, LinearPhysics, Physics
from deepinv.physics.noise import ZeroNoise
from torch import Tensor

from interlayer.errors import InputError
from interlayer.files import replacing, write_text
from interlayer.images import contact_sheet, write_gif, write_image
from interlayer.memory import return_freed_memory
from interlayer.perceptual import MIN_SIZE, lpips
from interlayer.solve import Solution
from interlayer.tasks import make_physics, masks_of, runs_code

GIF_FRAMES = 48
GIF_SIZE = 256


@dataclass(frozen=True)
class Measurements:
    """Measurements of one image with what is needed to build their operator again.

    Attributes:
        y: (1, ...) measurements.
        task: the task's name and level.
        seed: that the operator was made with.
        img_size: (3, H, W) of the image.
        masks: the mask pictures of its ``mask:FILE`` parts by the names of their files.
    """

    y: Tensor
    task: str
    seed: int
    img_size: tuple[int, ...]
    masks: Mapping[str, Tensor] = field(default_factory=dict)

    def physics(self) -> Physics:
        """The operator that made them."""
        return make_physics(self.task, self.img_size, self.seed, masks=self.masks)

    def save(self, path: Path) -> None:
        """Write tensors and plain values only, for ``torch.load(path, weights_only=True)``."""
        with replacing(path) as temporary:
            plain = {"img_size": list(self.img_size), "masks": dict(self.masks)}
            torch.save(vars(self) | plain, temporary)


def measure(x: Tensor, task: str, seed: int) -> tuple[Measurements, Physics]:
    """Measure an image (1, 3, H, W) as a task says; the same seed measures the same."""
    img_size = tuple(x.shape[1:])
    physics = make_physics(task, img_size, seed)
    return Measurements(physics(x), task, seed, img_size, masks_of(physics)), physics


def load_measurements(path: Path) -> Measurements:
    """Read what `Measurements.save` wrote; only tensors and plain values are ever unpacked.

    Raises:
        InputError: if the file is missing, is not such a file, its values do not fit together, or
            its task would run code.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a measurements.pt that recover has written")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        y, task, masks = stored["y"], str(stored["task"]), dict(stored["masks"])
        if not all(isinstance(tensor, Tensor) for tensor in (y, *masks.values())):
            raise TypeError("measurements and masks are tensors")
        made = Measurements(y, task, int(stored["seed"]), tuple(stored["img_size"]), masks)
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ):
        raise InputError(
            f"{path} is not a measurements file; give a measurements.pt that recover has written"
        ) from None
    if runs_code(task):
        raise InputError(
            f"{path} names an operator in a Python file, which is not run for a file's sake; "
            "build the operator in Python and call solve"
        )
    return made


def metrics(x_hat: Tensor, x: Tensor) -> dict[str, float]:
    """PSNR in dB, SSIM and mean squared error of an estimate in [0, 1], and LPIPS if it is here.

    See `lpips` for which perceptual figure there is; none is downloaded.
    """
    colours = zip(x_hat.split(1, 1), x.split(1, 1), strict=True)  # a third of the memory
    figures = {
        "psnr": PSNR()(x_hat, x).item(),
        "ssim": fmean(SSIM()(a, b).item() for a, b in colours),
        "mse": F.mse_loss(x_hat, x).item(),
    }
    return_freed_memory()  # all of it is for blocks of other sizes
    rgb = x_hat.shape[1] == 3 and x_hat.shape[-1] >= MIN_SIZE
    return figures | {k: v.item() for k, v in (lpips(x_hat, x) if rgb else {}).items()}


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
            "holdout_loss": _number(record.holdout_loss),
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
        "holdout_loss": _number(last.holdout_loss),
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


def _number(value: Tensor) -> float | None:
    """A one-entry tensor as JSON can hold it."""
    return None if value.isnan().item() else value.item()


def picture_of(y: Tensor, size: int) -> Tensor:
    """Something a person can look at, (1, 3, size, size).

    Small images are enlarged, and lone known pixels grow until they are seen. A vector of m
    measurements fills a square row by row, from its least value (black) to its greatest (white).
    """
    if y.ndim == 4 and y.shape[1] == 3:
        known = (y != 0).any(dim=1).float().mean().item()
        spread = 2 * round((0.3 / max(known, 1e-4)) ** 0.5 / 2) + 1 if known < 0.1 else 1
        shown = F.max_pool2d(y, spread, stride=1, padding=spread // 2)
        return F.interpolate(shown, (size, size), mode="nearest").clamp(0, 1)
    values = y.abs().flatten() if y.is_complex() else y.flatten()
    side = int(values.numel() ** 0.5 + 0.999999)
    low, high = values.min(), values.max()
    tiles = torch.ones(side * side).index_copy(
        0, torch.arange(values.numel()), ((values - low) / (high - low).clamp_min(1e-12)).cpu()
    )
    square = tiles.reshape(1, 1, side, side).expand(1, 3, side, side)
    return F.interpolate(square, (size, size), mode="nearest")


def back_projection(y: Tensor, physics: LinearPhysics) -> Tensor:
    """``α Aᵀ y`` in [0, 1], with the α that brings ``A (α Aᵀ y)`` nearest to ``y``.

    For measurements that are no picture, whose ``Aᵀ y`` is faint, the contrast is stretched
    instead: the mean becomes grey, three standard deviations black and white.
    """
    x = physics.A_adjoint(y)
    if y.ndim != 4:
        return ((x - x.mean()) / (6 * x.std()).clamp_min(1e-12) + 0.5).clamp(0, 1)
    again = physics.A(x)
    alpha = (again * y).sum() / (again * again).sum().clamp_min(1e-12)
    return (alpha * x).clamp(0, 1)


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
