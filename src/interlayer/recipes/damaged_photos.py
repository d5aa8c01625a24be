"""Photos that are measurements already: noisy, small, grey, scratched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from deepinv.physics import Decolorize, Physics

from interlayer.errors import InputError
from interlayer.media.images import read_image
from interlayer.problem.facts import known_pixels
from interlayer.problem.noise_level import estimate_noise
from interlayer.problem.problem import Problem
from interlayer.problem.tasks import Task, make_physics, split_task, tensors_of

UNKNOWN, WHOLE = "denoise", "inpaint:1"
LEAST_NOISE = 1e-3


def read_measured(
    path: Path,
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    note: Callable[[str], None] | None = None,
) -> Problem:
    """Take a photo as the measurements of a task, of which no truth is known.

    The picture that the task measures has its own size, 64x64 for ``superres:16`` of 1024x1024; a
    photo of another one is cropped and resized to it. What a mask leaves out is blackened, and for
    ``colorize`` the brightness is taken. ``denoise`` without a level stands for Gaussian noise
    whose level is estimated, see `estimate_noise`.

    Args:
        path: the photo.
        task: task that describes how the photo came about, see `make_physics`.
        img_size: shape (3, H, W) of the image to recover.
        seed: seed of the operator.
        note: function that is called with one sentence about what was changed or estimated.

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
    pixels = known_pixels(physics) is not None
    if pixels:
        y = physics.A(y)
    if UNKNOWN in parts:
        if exact and pixels:
            raise InputError(
                f"the noise of {task!r} cannot be estimated where pixels are missing; "
                "give its standard deviation, as in denoise:0.1"
            )
        level = f"{UNKNOWN}:{max(LEAST_NOISE, estimate_noise(y).max().item()):.3g}"
        task = "+".join(level if part == UNKNOWN else part for part in parts)
        if note is not None:
            note(f"{path.name}: the noise is estimated, {level}")
    made = Task(task, img_size, seed, tensors_of(physics))
    return Problem(physics if exact == task else made.physics(), y, task=made)


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
