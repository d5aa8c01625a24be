r"""Measurement errors as pure functions of one signature; each returns one value per image.

A `Fidelity` is ``(predicted, y, weight, x) -> (B,)``: ``predicted = A(x)`` and measurements ``y``
of one shape (B, ...), weights of at least 0 that broadcast to it (0 leaves an entry out), and the
image ``x`` itself for those that look at it. Those below do not: each is the weighted mean
``Σ w ℓ(A(x), y) / Σ w`` of a loss ``ℓ`` per entry, NaN for an image whose weights are all zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from deepinv.optim import DataFidelity
from torch import Tensor


class Fidelity(Protocol):
    """A measurement error of your own; entries of weight 0 must not count."""

    def __call__(self, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor, /) -> Tensor:
        """The errors (B,) of images x (B, C, H, W) with noiseless measurements ``predicted``."""
        ...


DARK_PHOTONS = 0.1
DARK = 0.02  # level up to which a pixel may be black by itself


class OfDataFidelity:
    """A data fidelity of deepinv, divided by the number of measurements, as a `Fidelity`.

    What has weight 0 is replaced by the measurement itself, which costs what a perfect fit does.

    >>> from deepinv.optim import L1
    >>> OfDataFidelity(L1())(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.eye(2)[:1], None)
    tensor([3.])
    """

    def __init__(self, fidelity: DataFidelity) -> None:
        self.fidelity = fidelity

    def __call__(self, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None) -> Tensor:
        """The errors (B,) of noiseless measurements ``predicted``."""
        used = weight.expand_as(y) > 0
        perfect = self.fidelity.d(y, y)
        error = self.fidelity.d(torch.where(used, predicted, y), y) - perfect
        return error / used.flatten(1).sum(1)


def weighted_mean(losses: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean ``Σ w ℓ / Σ w`` of each image, (B, ...) to (B,); NaN without any weight.

    >>> weighted_mean(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
    tensor([1.5000])
    """
    repeats = losses[0].numel() / weight[0].numel()
    return (losses * weight).flatten(1).sum(1) / (repeats * weight.flatten(1).sum(1))


def measurement_loss(
    predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    """Weighted mean squared error of measurements, ``Σ w |A(x) - y|² / Σ w``, shape (B,).

    NaN for an image whose weights are all zero.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...), real or complex.
        y: measurements, same shape.
        weight: weights (B, ...) at least 0, broadcastable to ``y``; 0 leaves an entry out.
        x: the image, ignored here.

    >>> measurement_loss(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.ones(1, 1))
    tensor([12.5000])
    """
    error = predicted - y
    return weighted_mean((error.abs() if error.is_complex() else error).square(), weight)


def l1_loss(predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None) -> Tensor:
    """Weighted mean absolute error ``|A(x) - y|``, for measurements a few of which are wrong.

    >>> l1_loss(torch.zeros(1, 2), torch.tensor([[3.0, -4.0]]), torch.ones(1, 1))
    tensor([3.5000])
    """
    return weighted_mean((predicted - y).abs(), weight)


def huber_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    delta: float = 0.1,
) -> Tensor:
    r"""Squared error that grows linearly beyond ``delta``, so that outliers pull no harder.

    ``ℓ = r²`` for ``r = |A(x) - y| <= δ``, else ``δ (2 r - δ)``; it tends to the squared error as δ
    grows.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...), real or complex.
        y: measurements, same shape.
        weight: weights, broadcastable to ``y``.
        x: the image, ignored here.
        delta: threshold δ above 0, in units of ``y``.

    Reference: Huber, Robust Estimation of a Location Parameter, 1964.

    >>> huber_loss(torch.zeros(1, 2), torch.tensor([[0.1, 1.0]]), torch.ones(1, 1), delta=0.5)
    tensor([0.3800])
    """
    residual = (predicted - y).abs()
    near = residual.clamp(max=delta)
    return weighted_mean(near * (2 * residual - near), weight)


def poisson_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    gain: float | Tensor = 1.0,
) -> Tensor:
    r"""Kullback-Leibler divergence of Poisson measurements ``y = γ Poisson(A(x) / γ)``.

    ``ℓ = a - y + y log(y / a)`` with ``a = A(x)``: γ times the negative log-likelihood less its
    minimum, so 0 at ``a = y``, never negative, and near a fit ``(a - y)² / 2y``. Rates below a
    tenth of a photon, ``ε = γ / 10``, are replaced by ``ε exp(a / ε - 1)``, which is positive
    whatever ``a`` is and joins smoothly.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...); negative values are allowed.
        y: measurements in the units of ``A(x)``, at least 0; negative ones count as 0.
        weight: weights, broadcastable to ``y``.
        x: the image, ignored here.
        gain: gain γ above 0, a number or a tensor that broadcasts to ``y``.

    Reference: Csiszár, Why least squares and maximum entropy?, Annals of Statistics 19 (1991).

    >>> y = torch.tensor([[0.2, 0.4]])
    >>> bool(poisson_loss(y, y, torch.ones(1, 1), gain=0.01).abs() < 1e-6)
    True
    >>> round(poisson_loss(2 * y, y, torch.ones(1, 1), gain=0.01).item(), 4)  # 0.3 (1 - log 2)
    0.0921
    """
    y = y.clamp(min=0)
    dark = torch.as_tensor(DARK_PHOTONS * gain, dtype=y.dtype, device=y.device)
    rate, log_rate = positive_rate(predicted, dark)
    return weighted_mean(rate - y + torch.xlogy(y, y) - y * log_rate, weight)


def positive_rate(a: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Rates that are positive whatever ``a`` is, and their logarithm.

    Those below ``least`` are ``least exp(a / least - 1)``, which joins smoothly.
    """
    above, below = torch.maximum(a, least), (a / least - 1).clamp(max=0)
    return above * below.exp(), above.log() + below


def bernoulli_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    p: float | Tensor,
    s: float = DARK,
) -> Tensor:
    r"""Squared error of measurements some of which are dead: 0 with probability ``p``.

    ``y = 0`` if dead, else ``y ~ N(a, s²)`` with ``a = A(x)``. A ``y`` other than 0 is alive, and
    its negative log-likelihood is ``(y - a)² / 2s²``. A zero is dead or, with ``a`` near 0, alive:
    a mixture of the two, ``-log(p + (1 - p) exp(-a² / 2s²))``, both up to a constant. Times
    ``2 s²`` this is the squared error for what is alive, and for zeros a bounded loss, from 0 at
    ``a = 0`` to ``-2 s² log p``, whose pull fades once ``a`` is well above ``s``.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...), real.
        y: measurements, same shape; dead ones are exactly 0.
        weight: weights, broadcastable to ``y``.
        x: the image, ignored here.
        p: probability in [0, 1], a number or a tensor that broadcasts to ``y``.
        s: level up to which a pixel may be black rather than dead, in units of ``y``.

    >>> predicted, y = torch.tensor([[0.5, 0.9]]), torch.tensor([[0.6, 0.0]])
    >>> round(bernoulli_loss(predicted, y, torch.ones(1, 1), p=1.0).item(), 4)  # dead tells nothing
    0.005
    """
    p = torch.as_tensor(p, dtype=y.dtype, device=y.device)
    scale = 2 * s**2
    squared = (predicted - y).square()
    alive = torch.log1p(-p) - squared / scale
    zero = -scale * torch.logaddexp(p.log(), alive)
    return weighted_mean(torch.where(y == 0, zero, squared), weight)


def dead_zone_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    cell: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Tensor:
    r"""Squared distance to the cell that a quantiser rounded from: 0 inside.

    ``ℓ = max(low - a, a - high, 0)²`` with ``a = A(x)`` and ``[low, high] = cell(y)``: every
    measurement that the quantiser maps to ``y`` fits perfectly.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...), real.
        y: quantised measurements, same shape.
        weight: weights, broadcastable to ``y``.
        x: the image, ignored here.
        cell: function that gives the bounds of the quantiser's cells, which may be infinite.

    Reference: Jacques, Hammond, Fadili, Dequantizing Compressed Sensing, arXiv 0902.2367.

    >>> def sign(y):
    ...     return torch.where(y > 0, 0.0, -torch.inf), torch.where(y > 0, torch.inf, 0.0)
    >>> predicted, y = torch.tensor([[3.0, 2.0]]), torch.tensor([[1.0, -1.0]])
    >>> dead_zone_loss(predicted, y, torch.ones(1, 1), cell=sign)
    tensor([2.])
    """
    low, high = cell(y)
    outside = torch.maximum(low - predicted, predicted - high).clamp(min=0)
    return weighted_mean(outside.square(), weight)


def one_bit_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    centre: float = 0.0,
) -> Tensor:
    r"""Squared error to ``c + π/2 (y - c)`` for measurements reduced to one bit.

    Being on the right side of c costs nothing in `dead_zone_loss`, however near: the image fades
    away. The quantiser's two values are ``c ± sqrt(2/π) σ`` for ``A(x) - c ~ N(0, σ²)``, whose
    least-squares fit is ``2/π A(x)``; the factor undoes that.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...).
        y: the two values, same shape.
        weight: weights, broadcastable to ``y``.
        x: the image, ignored here.
        centre: centre c of the two values.

    Reference: Plan and Vershynin, The generalized Lasso with non-linear observations,
    arXiv 1502.04071.

    >>> one_bit_loss(torch.zeros(1, 2), torch.tensor([[2.0, -2.0]]), torch.ones(1, 1), centre=0.0)
    tensor([9.8696])
    """
    return measurement_loss(predicted, centre + torch.pi / 2 * (y - centre), weight)


def wrapped_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    period: float,
) -> Tensor:
    r"""Squared error of measurements that are known up to multiples of a period, such as phases.

    ``ℓ = d²`` with ``d = A(x) - y`` brought to within half a period of 0.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...), wrapped or not.
        y: measurements, same shape.
        weight: weights, broadcastable to ``y``.
        x: the image, ignored here.
        period: period above 0, in units of ``y``.

    >>> wrapped_loss(torch.tensor([[0.9]]), torch.tensor([[0.1]]), torch.ones(1, 1), period=1.0)
    tensor([0.0400])
    """
    error = predicted - y
    return weighted_mean((error - period * (error / period).round()).square(), weight)


def impulse_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    p: float | Tensor,
    q: float | Tensor,
) -> Tensor:
    r"""Squared error of measurements some of which are black or white instead.

    As `bernoulli_loss`, with impulses of both kinds: ``y = 0`` with probability ``p``, 1 with
    probability ``q``, else ``y ~ N(a, s²)`` with ``s = 0.02``.

    Args:
        predicted: noiseless measurements ``A(x)`` (B, ...), real.
        y: measurements, same shape; black ones are exactly 0, white ones exactly 1.
        weight: weights, broadcastable to ``y``.
        x: the image, ignored here.
        p: probability in [0, 1] of black, a number or a tensor that broadcasts to ``y``.
        q: probability in [0, 1] of white, together with ``p`` at most 1.

    >>> predicted, y = torch.tensor([[0.5, 0.9]]), torch.tensor([[0.6, 0.0]])
    >>> round(impulse_loss(predicted, y, torch.ones(1, 1), p=0.5, q=0.5).item(), 4)
    0.0053
    """
    p, q = (torch.as_tensor(t, dtype=y.dtype, device=y.device) for t in (p, q))
    scale = 2 * DARK**2
    squared = (predicted - y).square()
    alive = torch.log((1 - p - q).clamp_min(0)) - squared / scale
    black, white = (-scale * torch.logaddexp(t.log(), alive) for t in (p, q))
    losses = torch.where(y == 0, black, torch.where(y == 1, white, squared))
    return weighted_mean(losses, weight)


LOSSES: Mapping[str, Fidelity | None] = {
    "auto": None,
    "mse": measurement_loss,
    "l1": l1_loss,
    "huber": huber_loss,
}
"""Measurement errors by name; ``None`` stands for the one that suits the noise."""
