r"""Measurement errors as pure functions of one signature; each returns one value per image.

A `Fidelity` is ``(predicted, y, weight, x) -> (B,)``: ``predicted = A(x)`` and measurements ``y``
of one shape (B, ...), weights of at least 0 that broadcast to it (0 leaves an entry out), and the
image ``x`` itself for those that look at it. Those below do not: each is the weighted mean
``Σ w ℓ(A(x), y) / Σ w`` of a loss ``ℓ`` per entry, NaN for an image whose weights are all zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import torch
from deepinv.physics import (
    GaussianNoise,
    NoiseModel,
    Physics,
    PoissonNoise,
    SaltPepperNoise,
    SpatialUnwrapping,
)
from torch import Tensor

from interlayer.problem.joined import Joined
from interlayer.problem.linear import operators_of
from interlayer.problem.quantiser import UniformQuantiser


class Fidelity(Protocol):
    """A measurement error of your own; entries of weight 0 must not count."""

    def __call__(self, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor, /) -> Tensor:
        """The errors (B,) of images x (B, C, H, W) with noiseless measurements ``predicted``."""
        ...


DARK_PHOTONS = 0.1


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
    above, below = torch.maximum(predicted, dark), (predicted / dark - 1).clamp(max=0)
    rate, log_rate = above * below.exp(), above.log() + below
    return weighted_mean(rate - y + torch.xlogy(y, y) - y * log_rate, weight)


def bernoulli_loss(
    predicted: Tensor,
    y: Tensor,
    weight: Tensor,
    x: Tensor | None = None,
    *,
    p: float | Tensor,
    s: float = 0.02,
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


def fidelity_for(physics: Physics) -> Fidelity:
    """The measurement error that suits how the operator's measurements are made.

    A sensor that quantises (it has a method ``cell(y) -> (low, high)``) gets `dead_zone_loss`, or
    `one_bit_loss` where it leaves only the sign; deepinv's Poisson noise `poisson_loss`, noise
    that kills pixels with probability ``p`` (an attribute) `bernoulli_loss`, and everything else
    `measurement_loss`, the likelihood of Gaussian noise.

    >>> from deepinv.physics import Denoising
    >>> fidelity_for(Denoising()) is measurement_loss
    True
    """
    if isinstance(physics, Joined) and type(physics.noise_model) is NoiseModel:
        return partial(_joined_loss, physics)
    last = operators_of(physics)[-1]
    if isinstance(last, SpatialUnwrapping):
        return partial(wrapped_loss, period=float(last.threshold))
    noise = getattr(physics, "noise_model", None)
    dead = getattr(noise, "p", None)
    sensor = getattr(physics, "sensor_model", None)
    cell = getattr(sensor, "cell", None)
    if isinstance(sensor, UniformQuantiser) and sensor.bits == 1 and sensor.low == -sensor.high:
        return one_bit_loss
    if cell is not None:
        return partial(dead_zone_loss, cell=cell)
    if isinstance(noise, PoissonNoise):
        return partial(_poisson_noise_loss, noise)
    if dead is not None and not isinstance(noise, SaltPepperNoise):
        return partial(bernoulli_loss, p=dead)
    return measurement_loss


def _joined_loss(joined: Joined, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    """The mean over all entries of the errors that suit each part, in units of the noise."""
    total, count = predicted.new_zeros(len(y)), predicted.new_zeros(len(y))
    parts = [joined.parts(t) for t in (predicted, y, weight.expand_as(y))]
    for operator, own, measured, used in zip(joined.operators, *parts, strict=True):
        used = used.real if used.is_complex() else used
        number = used.flatten(1).sum(1)
        error = fidelity_for(operator)(own, measured, used, x).nan_to_num()
        noise = operator.noise_model
        variance = noise.sigma.square().mean() if isinstance(noise, GaussianNoise) else 1.0
        total, count = total + number * error / variance, count + number
    return total / count


def _poisson_noise_loss(
    noise: PoissonNoise, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    gain = noise.get_buffer("gain").to(y).reshape(-1, *[1] * (y.ndim - 1))
    counts = not noise.get_buffer("normalize")
    return poisson_loss(predicted, gain * y if counts else y, weight, gain=gain)


LOSSES: Mapping[str, Fidelity | None] = {
    "auto": None,
    "mse": measurement_loss,
    "l1": l1_loss,
    "huber": huber_loss,
}
"""Measurement errors by name; ``None`` stands for the one that suits the noise."""
