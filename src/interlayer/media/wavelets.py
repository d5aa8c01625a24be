"""Orthonormal wavelets of pictures: Daubechies' filters with four vanishing moments."""

from __future__ import annotations

import torch
from torch import Tensor

# Daubechies' low-pass filter with 4 vanishing moments: Ten Lectures on Wavelets (1992), table 6.1.
_LOW = (
    0.2303778133088964,
    0.7148465705529154,
    0.6308807679298587,
    -0.0279837694168599,
    -0.1870348117190931,
    0.0308413818355607,
    0.0328830116668852,
    -0.0105974017850690,
)
_HIGH = tuple((-1) ** k * tap for k, tap in enumerate(reversed(_LOW)))
_COARSEST = 8  # pixels across the image of which no detail is taken any more


def wavelet_levels(height: int, width: int) -> int:
    """How often the size can be halved down to 8 pixels.

    >>> wavelet_levels(1024, 1024), wavelet_levels(48, 40), wavelet_levels(25, 25)
    (7, 2, 0)
    """
    levels = 0
    while not (height | width) >> levels & 1 and min(height, width) >> levels >= 2 * _COARSEST:
        levels += 1
    return levels


def wavelet_transform(x: Tensor) -> Tensor:
    """Orthonormal coefficients (B, C, H, W) of images: the coarse image is the upper left corner.

    >>> coefficients = wavelet_transform(torch.ones(1, 1, 16, 16))[0, 0]
    >>> bool((coefficients[:8, :8] - 2).abs().max() < 1e-5 and coefficients[8:].abs().max() < 1e-5)
    True
    """
    x = x.clone()
    for level in range(wavelet_levels(x.shape[-2], x.shape[-1])):
        part = corner(x, level)
        part.copy_(split_rows(split_rows(part).mT.contiguous()).mT)
    return x


def inverse_wavelet_transform(coefficients: Tensor) -> Tensor:
    """The inverse, and transpose, of `wavelet_transform`."""
    x = coefficients.clone()
    for level in reversed(range(wavelet_levels(x.shape[-2], x.shape[-1]))):
        part = corner(x, level)
        part.copy_(_join_rows(_join_rows(part.mT.contiguous()).mT.contiguous()))
    return x


def corner(x: Tensor, level: int) -> Tensor:
    """The coefficients (B, C, H / 2^level, W / 2^level) of a coarse image, a view."""
    return x[..., : x.shape[-2] >> level, : x.shape[-1] >> level]


def split_rows(x: Tensor) -> Tensor:
    """Low-pass rows above high-pass ones, ``Σ_k f_k x_{2i+k}``, wrapping round."""
    rows = x.shape[-2]
    around = torch.cat([x, x[..., : len(_LOW) - 2, :]], dim=-2)
    bands = torch.zeros_like(x).chunk(2, dim=-2)
    for band, filter_ in zip(bands, (_LOW, _HIGH), strict=True):
        for k, tap in enumerate(filter_):
            band.add_(around[..., k : k + rows : 2, :], alpha=tap)
    return torch.cat(bands, dim=-2)


def _join_rows(bands: Tensor) -> Tensor:
    """The transpose, ``x_{2i+k} = Σ_j f_{2j+k} b_{i-j}`` summed over both bands."""
    x = torch.zeros_like(bands)
    half, reach = bands.shape[-2] // 2, len(_LOW) // 2 - 1
    for band, filter_ in zip(bands.chunk(2, dim=-2), (_LOW, _HIGH), strict=True):
        around = torch.cat([band[..., half - reach :, :], band], dim=-2)
        for k, tap in enumerate(filter_):
            first = reach - k // 2
            x[..., k % 2 :: 2, :].add_(around[..., first : first + half, :], alpha=tap)
    return x
