"""Blur kernels, for deepinv's `BlurFFT`."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_kernel(sigma: float, largest: int) -> Tensor:
    """A Gaussian (1, 1, k, k) of sum 1, cut at 4 standard deviations.

    Args:
        sigma: standard deviation in pixels.
        largest: upper bound of k, which is odd.

    >>> gaussian_kernel(1.0, largest=64).shape
    torch.Size([1, 1, 9, 9])
    """
    reach = min(math.ceil(4 * sigma), (largest - 1) // 2)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    profile = torch.softmax(-offsets.square() / (2 * sigma**2), dim=0)
    return torch.outer(profile, profile).float()[None, None]


def disc_kernel(radius: float, largest: int) -> Tensor:
    """A disc (1, 1, k, k) of sum 1, the blur of a lens out of focus.

    A pixel holds the share of it that lies within the radius.

    Args:
        radius: radius in pixels.
        largest: upper bound of k, which is odd.

    >>> disc_kernel(1.5, largest=64)[0, 0, 1]
    tensor([0.1122, 0.1413, 0.1122])
    """
    reach = min(math.ceil(radius - 0.5), (largest - 1) // 2)
    fine = 16  # points along the side of a pixel
    points = (torch.arange((2 * reach + 1) * fine, dtype=torch.float64) + 0.5) / fine - reach - 0.5
    inside = points[:, None].square() + points.square() <= max(radius, 0.5) ** 2
    kernel = F.avg_pool2d(inside.double()[None, None], fine)
    return (kernel / kernel.sum()).float()


def motion_kernel(length: float, angle: float) -> Tensor:
    """A straight line (1, 1, k, k) of sum 1 through the middle, the blur of steady motion.

    Args:
        length: length of the line in pixels, at least 1.
        angle: angle in degrees, anticlockwise from the horizontal.

    >>> motion_kernel(3, 0)[0, 0]
    tensor([[0.0000, 0.0000, 0.0000],
            [0.3333, 0.3333, 0.3333],
            [0.0000, 0.0000, 0.0000]])
    """
    reach = math.ceil((length - 1) / 2)
    # The share of the line within each pixel, from points spread evenly along it.
    samples = 32 * math.ceil(length)
    along = ((torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 0.5) * length
    turn = math.radians(angle)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    columns, rows = (
        ((along[:, None] * slope).round() == offsets).double()
        for slope in (math.cos(turn), -math.sin(turn))
    )
    kernel = rows.T @ columns
    return (kernel / kernel.sum()).float()[None, None]
