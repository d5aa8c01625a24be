"""Blur kernels, for deepinv's `BlurFFT`."""

from __future__ import annotations

import math

import torch
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
