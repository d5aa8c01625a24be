"""Penalties on the variables: priors of latent codes and of layer inputs."""

from __future__ import annotations

import torch
from torch import Tensor


def latent_prior(z: Tensor) -> Tensor:
    """Gaussian prior of whitened codes, ``mean z² / 2`` of each image, (B, ...) to (B,).

    The negative log-density per entry, up to a constant; about 0.5 for a code of the prior.

    >>> latent_prior(torch.tensor([[1.0, 3.0]]))
    tensor([2.5000])
    """
    return z.square().flatten(1).mean(1) / 2


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
    pairs = z.shape[1] * (z.shape[1] - 1) / 2
    if pairs == 0:
        return z.new_zeros(z.shape[0])
    unit = torch.nn.functional.normalize(z, dim=-1)
    tiny = torch.finfo(z.dtype).tiny
    # All pairs rather than chosen rows, whose gradients several threads add up in any order.
    first, second = unit[:, :, None], unit[:, None]
    apart = ((first - second).square().sum(-1) + tiny).sqrt()
    along = ((first + second).square().sum(-1) + tiny).sqrt()
    return (2 * torch.atan2(apart, along)).square().triu(1).sum((1, 2)) / pairs
