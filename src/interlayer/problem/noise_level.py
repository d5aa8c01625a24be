"""Estimation of a picture's noise level from the picture alone."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.media.wavelets import split_rows

LEAST_SIDE = 16
_MEDIAN = 0.6745  # of |ε|, ε ~ N(0, 1)


def estimate_noise(y: Tensor, known: Tensor | None = None) -> Tensor:
    """Standard deviation (B,) of white noise in pictures, from their finest diagonal wavelets.

    ``median |d| / 0.6745``, the median of ``|ε|`` for ``ε ~ N(0, 1)``: where most of a picture is
    smooth, its finest coefficients ``d`` are noise. Only the half of them whose surroundings are
    nearest to mid-grey count, for a file clips the noise of what is black or white. Fine texture
    counts as noise too.

    Args:
        y: pictures (B, C, H, W); 0 is the answer where a side is below 16.
        known: mask (1, 1, H, W) of pixels that count; ``None`` for all.

    Reference: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81
    (1994).

    >>> noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> round(estimate_noise(0.5 + 0.1 * noise).item(), 2)
    0.1
    """
    height, width = (side // 2 * 2 for side in y.shape[-2:])
    if min(height, width) < LEAST_SIDE:
        return y.new_zeros(len(y))
    y = y[..., :height, :width]
    finest = split_rows(split_rows(y).mT)[..., y.shape[-1] // 2 :, y.shape[-2] // 2 :].mT
    # A coefficient sees 8x8 pixels, the first of which has twice its row and column.
    around = F.avg_pool2d(F.pad(y, (0, 6, 0, 6), "circular"), 8, stride=2)
    far = (around - 0.5).abs()
    if known is not None:
        whole = F.pad(known[..., :height, :width].to(y), (0, 6, 0, 6), "circular")
        far = far.masked_fill(F.avg_pool2d(whole, 8, stride=2) < 1, torch.nan)
    far = far.flatten(1)
    clipped = ~(far <= far.nanmedian(1, keepdim=True).values)
    size = finest.abs().flatten(1).masked_fill(clipped, torch.nan)
    return size.nanmedian(1).values.nan_to_num() / _MEDIAN
