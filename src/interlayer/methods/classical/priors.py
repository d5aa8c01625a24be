"""Proximal operators of the total variation and of the l1 norm of wavelet coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from interlayer.media.wavelets import (
    corner,
    inverse_wavelet_transform,
    wavelet_levels,
    wavelet_transform,
)


class Prior(Protocol):
    """A regulariser R given by its proximal operator, ``argmin_x ||x - v||² / 2 + λ R(x)``.

    It may keep a warm start, so every run makes its own.

    Attributes:
        noisy: whether results differ at random from call to call, so that their mean is best.
    """

    noisy: bool

    def __call__(self, v: Tensor, threshold: float | Tensor) -> Tensor:
        """The minimiser for images v (B, C, H, W) and λ, one number or (B, 1, 1, 1)."""
        ...


class TotalVariation:
    r"""Total variation ``R(x) = Σ |∇x|`` over pixels, the norm taken over directions and colours.

    Its proximal operator comes from fast gradient projection on the dual, ``x = v - ∇ᵀp`` with
    ``|p| <= λ`` at each pixel. It starts from the last result, and thus converges over the calls of
    an outer iteration.

    Args:
        steps: number of steps of the dual iteration in each call.

    Reference: Beck and Teboulle, IEEE Trans. Image Process. 18 (2009); for colours Blomgren and
    Chan, IEEE Trans. Image Process. 7 (1998).

    >>> step = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    >>> TotalVariation(steps=100)(step, 0.5)[0, 0, 0]  # both halves move by λ / width
    tensor([0.2500, 0.2500, 0.7500, 0.7500])
    """

    noisy = False

    def __init__(self, steps: int = 5) -> None:
        self.steps = steps
        self._dual: Tensor | None = None

    def __call__(self, v: Tensor, threshold: float | Tensor) -> Tensor:
        """See `Prior`."""
        p = v.new_zeros(2, *v.shape) if self._dual is None else self._dual
        q, momentum = p, 1.0
        for _ in range(self.steps):
            ascended = _add_gradient(q.clone(), _subtract_adjoint(v.clone(), q), scale=1 / 8)
            following = _project(ascended, threshold)
            momentum, before = (1 + (1 + 4 * momentum**2) ** 0.5) / 2, momentum
            q, p = torch.lerp(p, following, 1 + (before - 1) / momentum), following
        self._dual = p
        return _subtract_adjoint(v.clone(), p)


def _add_gradient(p: Tensor, x: Tensor, scale: float) -> Tensor:
    """Add ``scale ∇x`` to p in place: differences to the next row and column, 0 at the last one."""
    p[0, ..., :-1, :].add_(x[..., 1:, :] - x[..., :-1, :], alpha=scale)
    p[1, ..., :-1].add_(x[..., 1:] - x[..., :-1], alpha=scale)
    return p


def _subtract_adjoint(x: Tensor, p: Tensor) -> Tensor:
    """Subtract ``∇ᵀp`` from x in place."""
    x[..., 1:, :].sub_(p[0, ..., :-1, :])
    x[..., :-1, :].add_(p[0, ..., :-1, :])
    x[..., 1:].sub_(p[1, ..., :-1])
    x[..., :-1].add_(p[1, ..., :-1])
    return x


def _project(p: Tensor, radius: float | Tensor) -> Tensor:
    """Bring the vectors over directions and colours, p (2, B, C, H, W), into a ball, in place."""
    squares = _sum_of_squares(p.transpose(1, 2).flatten(0, 1))
    return p.mul_(squares.div_(radius**2).clamp_min_(1).rsqrt_())


def _sum_of_squares(components: Tensor) -> Tensor:
    """Sums of squares (B, 1, H, W) over the first axis; 30 times faster than PyTorch's norm."""
    squares = torch.zeros_like(components[0])
    for component in components:
        squares.addcmul_(component, component)
    return squares.unsqueeze(1)


class Wavelets:
    r"""Wavelet sparsity ``R(x) = Σ |c|``, c the details of all colours at a place, scale and band.

    Daubechies' wavelets with 4 vanishing moments, orthonormal and periodic, on as many levels as
    the size can be halved down to 8 pixels; R is 0 if it cannot. The grid moves by a random offset,
    which depends on the number of the call alone: the mean over calls is free of its artefacts.

    Reference: Coifman and Donoho, Translation-invariant de-noising (1995); Figueiredo and Nowak,
    IEEE Trans. Image Process. 12 (2003).

    >>> v = torch.rand(1, 3, 32, 32)
    >>> smooth = Wavelets()(v, 10.0)
    >>> bool((smooth.mean() - v.mean()).abs() < 1e-6 and smooth.var() < v.var() / 4)
    True
    """

    noisy = True

    def __init__(self) -> None:
        self._rng = torch.Generator().manual_seed(0)

    def __call__(self, v: Tensor, threshold: float | Tensor) -> Tensor:
        """See `Prior`."""
        levels = wavelet_levels(v.shape[-2], v.shape[-1])
        down, right = torch.randint(2**levels, (2,), generator=self._rng).tolist()
        details = wavelet_transform(v.roll((down, right), (-2, -1)))
        coarse = corner(details, levels)
        kept = coarse.clone()
        size = _sum_of_squares(details.transpose(0, 1)).sqrt_()
        details *= 1 - threshold / size.clamp_min(threshold)
        coarse.copy_(kept)
        return inverse_wavelet_transform(details).roll((-down, -right), (-2, -1))


PRIORS: Mapping[str, Callable[[], Prior]] = {"tv": TotalVariation, "wavelet": Wavelets}
