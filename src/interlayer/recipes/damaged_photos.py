"""Photos that are measurements already: noisy, small, grey, scratched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from deepinv.physics import Decolorize, Inpainting, Physics

from interlayer.errors import InputError
from interlayer.media.images import read_image
from interlayer.methods.classical import estimate_noise
from interlayer.problem.measurements import Measurements
from interlayer.problem.tasks import make_physics, masks_of, split_task

UNKNOWN, WHOLE = "denoise", "inpaint:1"
LEAST_NOISE = 1e-3


def read_measured(
    path: Path,
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    note: Callable[[str], None] | None = None,
) -> Measurements:
    """A photo taken as the measurements of a task, of which no truth is known.

    The picture that the task measures has its own size, 64x64 for ``superres:16`` of 1024x1024; a
    photo of another one is cropped and resized to it. What a mask leaves out is blackened, and for
    ``colorize`` the brightness is taken. ``denoise`` without a level stands for Gaussian noise
    whose level is estimated, see `interlayer.methods.classical.estimate_noise`.

    Args:
        path: of the photo.
        task: how the photo came about, see `make_physics`.
        img_size: (3, H, W) of the image to recover.
        seed: of the operator.
        note: called with one sentence about what was changed or estimated.

    Raises:
        InputError: if the photo cannot be read, the task measures no picture, or the noise of an
            inpainting task has no level.
    """
    parts = split_task(task)
    exact = "+".join(part for part in parts if part != UNKNOWN)
    physics = make_physics(exact or WHOLE, img_size, seed)
    channels, side = _measured_size(physics, task, img_size)
    y = read_image(path, side, note)
    if channels == 1:
        y = Decolorize(img_size=(3, side, side)).A(y)
    if isinstance(physics, Inpainting):
        y = physics.A(y)
    if UNKNOWN in parts:
        if exact and isinstance(physics, Inpainting):
            raise InputError(
                f"the noise of {task!r} cannot be estimated where pixels are missing; "
                "give its standard deviation, as in denoise:0.1"
            )
        level = f"{UNKNOWN}:{max(LEAST_NOISE, estimate_noise(y).max().item()):.3g}"
        task = "+".join(level if part == UNKNOWN else part for part in parts)
        if note is not None:
            note(f"{path.name}: the noise is estimated, {level}")
    return Measurements(y, task, seed, img_size, masks_of(physics))


def _measured_size(physics: Physics, task: str, img_size: tuple[int, ...]) -> tuple[int, int]:
    """Channels and side of the square picture that is measured."""
    with torch.no_grad():
        shape = physics.A(torch.zeros(1, *img_size)).shape[1:]
    if len(shape) != 3 or shape[0] not in (1, 3) or shape[1] != shape[2]:
        raise InputError(
            f"{task!r} measures no square picture, so that a photo cannot be its measurements; "
            "use a task such as superres:8, denoise, deblur:4, colorize or mask:FILE"
        )
    return shape[0], shape[2]
