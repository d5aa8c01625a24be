"""Kinds of measurements: the questions that `Problem` answers, asked of an operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeGuard

import torch
from deepinv.physics import (
    BlurFFT,
    Decolorize,
    Denoising,
    GaussianNoise,
    Inpainting,
    LinearPhysics,
    Physics,
)
from deepinv.physics.noise import ZeroNoise
from torch import Tensor

from interlayer.media.faces import Square
from interlayer.problem.blur import OpenBlur
from interlayer.problem.circulant import PartialCirculant
from interlayer.problem.gaussian import GaussianMatrix
from interlayer.problem.jpeg_coefficients import JPEGCoefficients
from interlayer.problem.linear import operators_of
from interlayer.problem.noise_level import estimate_noise
from interlayer.problem.nonlinear import Magnitudes
from interlayer.problem.resampling import BicubicDownsampling, BlockAverage
from interlayer.problem.views import TurnedView

DEPICTING = (
    BicubicDownsampling,
    BlockAverage,
    BlurFFT,
    Decolorize,
    Denoising,
    Inpainting,
    JPEGCoefficients,
    OpenBlur,
    TurnedView,
)


@dataclass(frozen=True)
class Noise:
    """Noise level of measurements and where it is known from.

    Attributes:
        source: origin of the level: "none" where measurements are exact, "known" where the operator
            gives it, "estimated" where a picture shows it, "unknown" otherwise.
        sigma: standard deviation in units of the measurements, ``None`` where it is unknown.
    """

    source: Literal["none", "known", "estimated", "unknown"]
    sigma: float | None


def noise_of(physics: Physics, y: Tensor) -> Noise:
    """The noise of measurements: the operator's own if Gaussian, else estimated from a picture.

    Args:
        physics: the forward operator with its noise model.
        y: measurements; the mean level counts where images of a batch have their own.

    >>> from interlayer.problem.tasks import make_physics
    >>> physics = make_physics("circulant:0.5+denoise:0.25", (3, 8, 8))
    >>> noise_of(physics, physics(torch.rand(1, 3, 8, 8)))
    Noise(source='known', sigma=0.25)
    """
    model = physics.noise_model
    if isinstance(model, GaussianNoise):
        return Noise("known", model.get_buffer("sigma").mean().item())
    if is_exact(physics):
        return Noise("none", 0.0)
    if y.ndim != 4 or known_pixels(physics) is not None:
        return Noise("unknown", None)
    return Noise("estimated", estimate_noise(y).mean().item())


def is_exact(physics: Physics) -> bool:
    """Whether the measurements are free of noise."""
    return physics.noise_model is None or isinstance(physics.noise_model, ZeroNoise)


def is_slow(physics: Physics) -> bool:
    """Whether every product with the operator takes seconds."""
    return any(isinstance(module, GaussianMatrix) for module in physics.modules())


def is_random_projection(physics: Physics) -> TypeGuard[PartialCirculant | GaussianMatrix]:
    """Whether each measurement mixes all pixels at random, with either sign."""
    return isinstance(physics, PartialCirculant | GaussianMatrix)


def is_small_picture(physics: Physics) -> bool:
    """Whether the measurements are the image at a fraction of its size."""
    return isinstance(physics, BicubicDownsampling | BlockAverage)


def is_whole_picture(physics: Physics) -> bool:
    """Whether the measurements are the image itself, up to noise."""
    return isinstance(physics, Denoising)


def known_pixels(physics: Physics) -> Tensor | None:
    """The mask of an operator that measures some of the image's own pixels, else ``None``.

    >>> from interlayer.problem.tasks import make_physics
    >>> known_pixels(make_physics("half:left", (3, 2, 2)))[0, 0]
    tensor([[False,  True],
            [False,  True]])
    """
    return physics.get_buffer("mask") > 0 if isinstance(physics, Inpainting) else None


def depicts(physics: Physics) -> bool:
    """Whether the measurements are the image as a picture: small, blurred, grey or with holes.

    >>> from interlayer.problem.tasks import make_physics
    >>> tasks = ("superres:2+deblur:1+denoise:0.1", "circulant:0.5", "half:left+deblur:1")
    >>> [depicts(make_physics(task, (3, 16, 16))) for task in tasks]
    [True, False, False]
    """
    *before, last = operators_of(physics)
    masked = any(isinstance(operator, Inpainting | JPEGCoefficients) for operator in before)
    return not masked and all(isinstance(each, DEPICTING) for each in (*before, last))


def is_transformed(physics: Physics) -> bool:
    """Whether the measurements are the cosine transform of a picture."""
    return isinstance(operators_of(physics)[-1], JPEGCoefficients)


def picture_in(physics: Physics, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The picture (B, C, h, w) that measurements are, see `depicts`, and which pixels it knows.

    Args:
        physics: operator whose measurements are a picture.
        y: measurements (B, ...).
        weight: mask, 1 for measurements that may be used, else 0; broadcastable to y.
    """
    last = operators_of(physics)[-1]
    if isinstance(last, JPEGCoefficients):
        return last.decoded(y, weight), last.shown(weight.expand_as(y))
    known = torch.ones_like(y[:, :1], dtype=torch.bool)
    if weight.ndim == y.ndim:
        known = known & (weight[:, :1] > 0)
    measured = measured_entries(physics)
    return y, known if measured is None else known & measured.to(y.device)


def picture_noise(physics: Physics, y: Tensor) -> float | None:
    """The standard deviation of the noise in the picture that measurements are, if it is known."""
    if not is_transformed(physics):
        return noise_of(physics, y).sigma
    last = operators_of(physics)[-1]
    assert isinstance(last, JPEGCoefficients)
    live = last.lattice > 0
    return (last.sigma / last.lattice[live]).square().mean().sqrt().item()


def square_in(physics: Physics) -> Square | None:
    """The turned square that the image is in a measured picture; ``None`` where it is all of it."""
    first = operators_of(physics)[0]
    return first.square if isinstance(first, TurnedView) else None


def edge_band(physics: Physics) -> int:
    """The width in pixels of the edges of a picture that see what lies beyond; 0 without any."""
    return max(
        (each.band for each in operators_of(physics) if isinstance(each, OpenBlur)), default=0
    )


def trusted_pixels(physics: Physics) -> Tensor | None:
    """The mask (1, 1, H, W) of pixels that do not see what lies beyond; ``None`` for all."""
    blurs = [each for each in operators_of(physics) if isinstance(each, OpenBlur)]
    return blurs[0].trusted > 0 if blurs else None


def measured_entries(physics: Physics) -> Tensor | None:
    """The mask (1, 1, h, w) of the entries of a picture that are measured; ``None`` for all."""
    last = operators_of(physics)[-1]
    if isinstance(last, JPEGCoefficients):
        live = last.lattice[:, :1] > 0
        return None if live.all() else live
    return last.get_buffer("mask")[:1, :1] > 0 if isinstance(last, Inpainting) else None


def picture_size(physics: Physics, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """The size (C, H, W) of the measurements where they are a picture, else ``None``."""
    if is_random_projection(physics) or isinstance(physics, Magnitudes):
        return None
    with torch.no_grad():
        measured = tuple(physics.A(torch.zeros(1, *size)).shape[1:])
    return measured if len(measured) == 3 else None


@torch.no_grad()
def leaves_colours_open(physics: LinearPhysics, y: Tensor) -> bool:
    """Whether the measurements fail to tell some colours apart, judged by flat pictures.

    >>> from interlayer.problem.tasks import make_physics
    >>> grey, small = (make_physics(task, (3, 8, 8)) for task in ("colorize", "superres:2"))
    >>> x = torch.rand(1, 3, 8, 8)
    >>> leaves_colours_open(grey, grey(x)), leaves_colours_open(small, small(x))
    (True, False)
    """
    like = physics.A_adjoint(y)
    colours = torch.eye(like.shape[1]).to(like)[..., None, None]
    seen = torch.stack([physics.A(colour.expand_as(like)) for colour in colours])
    values = torch.linalg.svdvals(seen.flatten(1))
    return bool(values[-1] <= 1e-3 * values[0])
