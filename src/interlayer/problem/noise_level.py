"""Estimation of a picture's noise level from the picture alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.media.wavelets import split_rows

_MEDIAN = 0.6745  # of |ε|, ε ~ N(0, 1)


def estimate_noise(y: Tensor) -> Tensor:
    """Standard deviation (B,) of white noise in pictures, from their finest diagonal wavelets.

    ``median |d| / 0.6745``, the median of ``|ε|`` for ``ε ~ N(0, 1)``: where most of a picture is
    smooth, its finest coefficients ``d`` are noise. Only the half of them whose surroundings are
    nearest to mid-grey count, for a file clips the noise of what is black or white. Fine texture
    counts as noise too.

    Args:
        y: pictures (B, C, H, W) with sides that are even and at least 16.

    Reference: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81
    (1994).

    >>> noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> round(estimate_noise(0.5 + 0.1 * noise).item(), 2)
    0.1
    """
    finest = split_rows(split_rows(y).mT)[..., y.shape[-1] // 2 :, y.shape[-2] // 2 :].mT
    # A coefficient sees 8x8 pixels, the first of which has twice its row and column.
    around = F.avg_pool2d(F.pad(y, (0, 6, 0, 6), "circular"), 8, stride=2)
    far = (around - 0.5).abs().flatten(1)
    clipped = far > far.median(1, keepdim=True).values
    size = finest.abs().flatten(1).masked_fill(clipped, torch.nan)
    return size.nanmedian(1).values / _MEDIAN
