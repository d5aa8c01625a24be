"""Task names such as ``circulant:0.01``: what the command line and the benchmarks measure with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from deepinv.physics import Denoising, GaussianNoise, Inpainting, Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.images import read_mask
from interlayer.physics import BicubicDownsampling, PartialCirculant

TASKS = {
    "inpaint:P": "a random fraction P of the pixels is known (0 < P <= 1)",
    "mask:FILE": "the white pixels of a mask picture are known",
    "superres:K": "the image is K times smaller (2 <= K <= 64, K divides its size)",
    "circulant:P": "P n random measurements of a circulant matrix, n = 3 x size² (0 < P <= 1)",
    "denoise:S": "Gaussian noise of standard deviation S, for images in [0, 1] (0 < S <= 10)",
}


def make_physics(task: str, img_size: tuple[int, ...], seed: int = 0) -> Physics:
    """Build the forward operator of a task as deepinv physics: ``y = physics(x)``.

    Args:
        task: a name and its level, ``inpaint:0.01``; `TASKS` lists the forms.
        img_size: (3, H, W) of the images in [0, 1] that it takes.
        seed: of everything random in it: mask, filter, rows, noise.

    Raises:
        InputError: if the task is unknown or its level is out of range; the message lists the
            valid forms.

    >>> make_physics("superres:4", (3, 16, 16))(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 3, 4, 4])
    """
    name, _, level = task.partition(":")
    if name not in _MAKERS:
        raise InputError(f"there is no task {task!r}; use one of {', '.join(TASKS)}")
    return _MAKERS[name](task, level, img_size, seed)


def inpainting(img_size: tuple[int, ...], mask: Tensor) -> Physics:
    """Known where ``mask`` (1, 1, H, W) is 1, all channels of a pixel alike."""
    # deepinv annotates sizes as a tuple of one number
    return Inpainting(img_size, mask=mask.expand(1, *img_size))  # pyright: ignore[reportArgumentType]


def _inpaint(task: str, level: str, img_size: tuple[int, ...], seed: int) -> Physics:
    fraction = _number(task, level, above=0, up_to=1)
    height, width = img_size[-2:]
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
    mask = torch.zeros(height * width)
    mask[order[: max(1, round(fraction * height * width))]] = 1
    return inpainting(img_size, mask.reshape(1, 1, height, width))


def _mask(task: str, level: str, img_size: tuple[int, ...], seed: int) -> Physics:
    return inpainting(img_size, read_mask(Path(level), img_size[-1]))


def _superres(task: str, level: str, img_size: tuple[int, ...], seed: int) -> Physics:
    factor = _number(task, level, above=1, up_to=64)
    if factor != int(factor) or any(side % factor for side in img_size[-2:]):
        raise InputError(
            f"{task!r} does not fit {img_size[-1]}x{img_size[-2]} images: "
            "the factor must be a whole number that divides the size, such as 8 or 16"
        )
    return BicubicDownsampling(img_size, factor=int(factor))


def _circulant(task: str, level: str, img_size: tuple[int, ...], seed: int) -> Physics:
    n = int(torch.Size(img_size).numel())
    m = max(1, round(_number(task, level, above=0, up_to=1) * n))
    return PartialCirculant(img_size, m, seed=seed)


def _denoise(task: str, level: str, img_size: tuple[int, ...], seed: int) -> Physics:
    sigma = _number(task, level, above=0, up_to=10)
    rng = torch.Generator().manual_seed(seed)
    return Denoising(GaussianNoise(sigma=sigma, rng=rng), img_size=img_size)


_MAKERS: dict[str, Callable[[str, str, tuple[int, ...], int], Physics]] = {
    "inpaint": _inpaint,
    "mask": _mask,
    "superres": _superres,
    "circulant": _circulant,
    "denoise": _denoise,
}


def _number(task: str, level: str, above: float, up_to: float) -> float:
    """The level as a number in (above, up_to]."""
    try:
        value = float(level)
    except ValueError:
        value = float("nan")
    if not above < value <= up_to:
        raise InputError(
            f"the level of {task!r} must be a number above {above:g} and at most {up_to:g}; "
            f"tasks are {', '.join(f'{form} ({what})' for form, what in TASKS.items())}"
        )
    return value
