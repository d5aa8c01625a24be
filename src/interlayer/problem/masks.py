"""Masks (1, 1, H, W) of ones (known) and zeros (missing), and inpainting with them."""

from __future__ import annotations

import torch
from deepinv.physics import Inpainting, Physics
from torch import Tensor


def inpainting(img_size: tuple[int, ...], mask: Tensor) -> Physics:
    """Inpainting, with all channels of the pixels known where ``mask`` (1, 1, H, W) is 1."""
    # deepinv annotates sizes as a tuple of one number
    return Inpainting(img_size, mask=mask.expand(1, *img_size))  # pyright: ignore[reportArgumentType]


def random_mask(height: int, width: int, fraction: float, rng: torch.Generator) -> Tensor:
    """A mask that keeps a random ``fraction`` of the pixels, at least one.

    >>> random_mask(8, 8, 0.25, torch.Generator().manual_seed(0)).sum()
    tensor(16.)
    """
    order = torch.randperm(height * width, generator=rng)
    mask = torch.zeros(height * width)
    mask[order[: max(1, round(fraction * height * width))]] = 1
    return mask.reshape(1, 1, height, width)


def box_mask(height: int, width: int, fraction: float) -> Tensor:
    """A mask with a hole of the image's shape in the middle, about ``fraction`` of its area.

    >>> box_mask(4, 4, 0.25)[0, 0]
    tensor([[1., 1., 1., 1.],
            [1., 0., 0., 1.],
            [1., 0., 0., 1.],
            [1., 1., 1., 1.]])
    """
    mask = torch.ones(1, 1, height, width)
    tall, wide = (min(side - 1, max(1, round(fraction**0.5 * side))) for side in (height, width))
    top, left = (height - tall) // 2, (width - wide) // 2
    mask[..., top : top + tall, left : left + wide] = 0
    return mask


def half_mask(height: int, width: int, side: str) -> Tensor:
    """A mask with its ``left``, ``right``, ``top`` or ``bottom`` half missing, a middle line not.

    Raises:
        KeyError: if ``side`` is another word.

    >>> half_mask(2, 5, "left")[0, 0, 0]
    tensor([0., 0., 1., 1., 1.])
    """
    mask = torch.ones(1, 1, height, width)
    halves = {
        "left": mask[..., : width // 2],
        "right": mask[..., (width + 1) // 2 :],
        "top": mask[..., : height // 2, :],
        "bottom": mask[..., (height + 1) // 2 :, :],
    }
    halves[side].zero_()
    return mask
