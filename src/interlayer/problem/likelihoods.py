r"""The measurement error that suits how an operator's measurements are made.

Every loss of a noise model is its negative log-likelihood less the minimum over ``a = A(x)``, times
a constant that gives it the units of a squared error, ``ℓ ≈ (a - y)²`` near a fit: weights of other
terms keep their meaning whatever the noise.

| noise of deepinv | loss ℓ of a measurement y |
|---|---|
| Gaussian, uniform Gaussian | ``(a - y)²`` |
| Poisson | `poisson_loss` |
| Poisson-Gaussian | `poisson_loss` of both shifted by ``σ²/γ``, whose variance is the same |
| uniform in ± b | ``(a - y)²``, and tenfold what lies beyond ± b |
| Laplace of scale b | ``2b |a - y|`` |
| gamma of shape l | ``2m (log(a/y) + y/a - 1)``, m being the mean of y² |
| log-Poisson | ``2 (e^(-μa) - e^(-μy) (1 - μ(a - y))) / μ² m``, m being the mean of ``e^(-μy)`` |
| Fisher-Tippett | ``2 (e^(y-a) - (y - a) - 1)`` |
| Rician | ``(a - y)² - 2σ² log i0e(ay/σ²)`` |
| salt and pepper | `impulse_loss` |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from deepinv.physics import (
    FisherTippettNoise,
    GammaNoise,
    GaussianNoise,
    LaplaceNoise,
    LogPoissonNoise,
    NoiseModel,
    Physics,
    PoissonGaussianNoise,
    PoissonNoise,
    RicianNoise,
    SaltPepperNoise,
    SpatialUnwrapping,
    UniformGaussianNoise,
    UniformNoise,
    ZeroNoise,
)
from torch import Tensor

from interlayer.problem.fidelity import (
    Fidelity,
    bernoulli_loss,
    dead_zone_loss,
    impulse_loss,
    measurement_loss,
    one_bit_loss,
    poisson_loss,
    positive_rate,
    weighted_mean,
    wrapped_loss,
)
from interlayer.problem.joined import Joined
from interlayer.problem.linear import operators_of
from interlayer.problem.quantiser import UniformQuantiser

SQUARED = (GaussianNoise, UniformGaussianNoise, ZeroNoise)
UNBIASED = (PoissonNoise, PoissonGaussianNoise, UniformNoise, LaplaceNoise, GammaNoise)
"""Kinds of noise of mean 0 whose likelihood is not the squared error's."""
BEYOND = 10.0  # times as dear as other errors, those that uniform noise cannot make
LEAST_RATE = 1e-3  # in units of the root mean square, below which rates are replaced


def fidelity_for(physics: Physics) -> Fidelity:
    """The measurement error that suits an operator's sensor, or else its noise.

    A sensor that quantises (it has a method ``cell(y) -> (low, high)``) gets `dead_zone_loss`, or
    `one_bit_loss` where it leaves only the sign; measurements known up to a period `wrapped_loss`;
    noise that kills pixels with probability ``p`` (an attribute) `bernoulli_loss`; deepinv's kinds
    of noise their likelihood; and everything else `measurement_loss`.

    >>> from deepinv.physics import Denoising
    >>> fidelity_for(Denoising()) is measurement_loss
    True
    """
    if isinstance(physics, Joined) and type(physics.noise_model) is NoiseModel:
        return partial(_joined_loss, physics)
    sensor = getattr(physics, "sensor_model", None)
    if isinstance(sensor, UniformQuantiser) and sensor.bits == 1 and sensor.low == -sensor.high:
        return one_bit_loss
    cell = getattr(sensor, "cell", None)
    if cell is not None:
        return partial(dead_zone_loss, cell=cell)
    last = operators_of(physics)[-1]
    if isinstance(last, SpatialUnwrapping):
        return partial(wrapped_loss, period=float(last.threshold))
    return _of_noise(getattr(physics, "noise_model", None)) or measurement_loss


def unknown_noise(physics: Physics) -> str | None:
    """The name of a noise model that no loss here suits; ``None`` where there is none such."""
    model = getattr(physics, "noise_model", None)
    if model is None or isinstance(model, SQUARED) or fidelity_for(physics) is not measurement_loss:
        return None
    return type(model).__name__


def _of_noise(noise: NoiseModel | None) -> Fidelity | None:
    """The likelihood of a noise model."""
    for kind, loss in _LOSSES.items():
        if isinstance(noise, kind):
            return partial(loss, noise)
    dead = getattr(noise, "p", None)
    return None if dead is None else partial(bernoulli_loss, p=dead)


def _level(noise: NoiseModel, name: str, y: Tensor) -> Tensor:
    """A parameter of a noise model, which broadcasts to y; images may have their own."""
    return noise.get_buffer(name).to(y).reshape(-1, *[1] * (y.ndim - 1))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Mean (B, ...) of values at least 0 where the weight is not 0, and of each image its own."""
    mean = weighted_mean(values, (weight > 0).to(values))
    return mean.reshape(-1, *[1] * (values.ndim - 1)).clamp_min(1e-12)


def _poisson(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    gain = _level(noise, "gain", y)
    counts = not noise.get_buffer("normalize")
    return poisson_loss(predicted, gain * y if counts else y, weight, gain=gain)


def _poisson_gaussian(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    gain = _level(noise, "gain", y).clamp_min(1e-6)
    shift = _level(noise, "sigma", y).square() / gain
    return poisson_loss(predicted + shift, y + shift, weight, gain=gain)


def _uniform(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    error = (predicted - y).abs()
    beyond = (error - _level(noise, "a", y)).clamp_min(0)
    return weighted_mean(error.square() + BEYOND * beyond.square(), weight)


def _laplace(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    return weighted_mean(2 * _level(noise, "b", y) * (predicted - y).abs(), weight)


def _gamma(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    m = _mean(y.square(), weight)
    rate, log_rate = positive_rate(predicted, LEAST_RATE * m.sqrt())
    y = y.clamp_min(1e-12)
    return weighted_mean(2 * m * (log_rate - y.log() + y / rate - 1), weight)


def _log_poisson(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    mu = _level(noise, "mu", y)
    counted = (-mu * y).exp()
    divergence = (-mu * predicted).exp() - counted * (1 - mu * (predicted - y))
    return weighted_mean(2 * divergence / (mu.square() * _mean(counted, weight)), weight)


def _fisher_tippett(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    error = y - predicted
    return weighted_mean(2 * (error.exp() - error - 1), weight)


def _rician(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    variance = _level(noise, "sigma", y).square().clamp_min(1e-12)
    size = predicted.abs()
    bend = 2 * variance * torch.special.i0e(size * y / variance).log()
    return weighted_mean((size - y).square() - bend, weight)


def _salt_pepper(
    noise: NoiseModel, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor | None = None
) -> Tensor:
    return impulse_loss(predicted, y, weight, p=_level(noise, "p", y), q=_level(noise, "s", y))


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


_LOSSES: dict[type[NoiseModel], Callable[..., Tensor]] = {
    PoissonNoise: _poisson,
    PoissonGaussianNoise: _poisson_gaussian,
    UniformNoise: _uniform,
    LaplaceNoise: _laplace,
    GammaNoise: _gamma,
    LogPoissonNoise: _log_poisson,
    FisherTippettNoise: _fisher_tippett,
    RicianNoise: _rician,
    SaltPepperNoise: _salt_pepper,
}
