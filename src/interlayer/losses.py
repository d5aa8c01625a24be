"""Losses as pure functions; each returns one value per image."""

from __future__ import annotations

import torch
from torch import Tensor


def measurement_loss(predicted: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean squared error of measurements, ``Σ w |A(x) - y|² / Σ w``, shape (B,).

    NaN for an image whose weights are all zero.

    Args:
        predicted: ``A(x)`` (B, ...), real or complex.
        y: measurements, same shape.
        weight: weights (B, ...) at least 0, broadcastable to ``y``; 0 leaves an entry out.
    """
    weight = weight.expand(y.shape)
    squared = (predicted - y).abs().square() * weight
    return squared.flatten(1).sum(1) / weight.flatten(1).sum(1)


def geodesic_cross(z: Tensor) -> Tensor:
    r"""Mean squared geodesic distance between the style codes of an image, shape (B,).

    ``GEOCROSS = mean over pairs i < j of θ(z_i, z_j)²`` with the angle
    ``θ(u, v) = 2 atan2(|u - v|, |u + v|)`` between unit vectors; small when all style inputs see
    nearly the same code, as they do under the prior.

    Args:
        z: codes (B, num_ws, d), or one code per image of any other shape.

    Returns:
        Squared angles in radians, 0 for a single code.

    Reference: Menon et al., PULSE, arXiv 2003.03808 (there a sum over pairs).

    >>> bool(geodesic_cross(torch.ones(1, 3, 4)).item() < 1e-9)
    True
    >>> orthogonal = torch.eye(2)[None]
    >>> round(geodesic_cross(orthogonal).item() ** 0.5, 4)  # π / 2
    1.5708
    """
    if z.ndim != 3:
        return z.new_zeros(z.shape[0])
    first, second = torch.triu_indices(z.shape[1], z.shape[1], offset=1, device=z.device)
    if first.numel() == 0:
        return z.new_zeros(z.shape[0])
    unit = torch.nn.functional.normalize(z, dim=-1)
    tiny = torch.finfo(z.dtype).tiny
    apart = ((unit[:, first] - unit[:, second]).square().sum(-1) + tiny).sqrt()
    along = ((unit[:, first] + unit[:, second]).square().sum(-1) + tiny).sqrt()
    return (2 * torch.atan2(apart, along)).square().mean(1)
