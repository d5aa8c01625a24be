"""The border: what a user hands over, as an operator on real images with one tensor of data.

A problem takes any operator of deepinv, or a function of images; measurements that are several
tensors become one. What an operator needs beyond that depends on the images, see `taking`.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from deepinv.physics import LinearPhysics, LogPoissonNoise, Physics, adjoint_function
from torch import Tensor

from interlayer.errors import InputError
from interlayer.problem.joined import as_one, join

TOLERANCE = 1e-3  # of the dot test, relative to the norms
FAR = 10.0  # times the measurements of a white image
_CANNOT = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, AttributeError)
"""What operators raise that are given images of another kind than theirs."""


def accepted(physics: Any, y: Any) -> tuple[Physics, Tensor]:
    """An operator and its measurements as `Problem` keeps them.

    Args:
        physics: operator of deepinv, or a function that maps images (B, C, H, W) to measurements.
        y: tensor, array, or sequence of them for operators that measure several.

    Returns:
        The operator and measurements (B, ...) in single precision.

    Raises:
        InputError: if either is something else, or ``y`` holds NaN or infinity.

    >>> accepted(lambda x: x[..., ::2], np.ones((1, 3, 4, 2)))[1].dtype
    torch.float32
    """
    if not isinstance(physics, Physics):
        if isinstance(physics, type) or not callable(physics):
            raise InputError(
                f"the operator is {_called(physics)}; give a deepinv Physics, or a function of "
                "images (B, C, H, W)"
            )
        physics = _of_function(physics)
    if isinstance(y, Sequence) or hasattr(y, "x"):  # a TensorList keeps its tensors in x
        parts = [_tensor(part) for part in getattr(y, "x", y)]
        physics, y = as_one(physics, parts), join(parts)
    y = _with_photons(physics, _tensor(y))
    if not y.isfinite().all():
        raise InputError("the measurements hold NaN or infinite values; remove or mask them first")
    return physics, y


def taking(physics: Physics, y: Tensor, size: Sequence[int]) -> Physics:
    """The operator on real images (B, C, H, W), which it may take in another form.

    As they are; as complex ones; one channel as the real part of two; or each as frames of a scene
    that does not move. A warning says which.

    Args:
        physics: the operator.
        y: measurements (B, ...).
        size: shape (C, H, W) of the images.

    Raises:
        InputError: if it takes them in no form, or measures another shape than that of ``y``.
    """
    x = torch.zeros(len(y), *size, device=y.device)
    measured = _measured(physics, x)
    if isinstance(measured, Exception):
        for form, said in _FORMS.items():
            shown = form(physics, y)
            if getattr(_measured(shown, x), "shape", None) == y.shape:
                warnings.warn(said, stacklevel=4)
                return shown
        channels, height, width = size
        raise InputError(
            f"the operator does not take {height}x{width} images with {channels} channels, which "
            f"the generator makes: {measured}"
        ) from measured
    if isinstance(measured, Tensor) and measured.shape == y.shape:
        return physics
    shape = tuple(measured.shape[1:]) if isinstance(measured, Tensor) else "several tensors"
    raise InputError(
        f"the measurements have shape {tuple(y.shape[1:])} per image, but the operator gives "
        f"{shape}"
    )


def with_adjoint(physics: Physics, y: Tensor, size: Sequence[int]) -> Physics:
    """The operator, with an ``A_adjoint`` that passes one dot test ``<Ax, v> = <x, Aᵀv>``.

    Where that of a linear operator does not, automatic differentiation makes the transpose, and a
    warning says so.

    Args:
        physics: the operator.
        y: measurements (B, ...).
        size: shape (C, H, W) of the images.
    """
    if not isinstance(physics, LinearPhysics):
        return physics
    rng = torch.Generator().manual_seed(0)
    x = torch.rand((len(y), *size), generator=rng).to(y.device)
    v = torch.randn(y.shape, generator=rng).to(y)
    measured, wrong = physics.A(x), "is missing"
    try:
        back = physics.A_adjoint(v)
    except _CANNOT:
        back = None
    if back is not None and back.is_complex():  # of which real images see the real part
        physics, back = _AsReal(physics, y), back.real
    if back is not None and back.shape == x.shape:
        here, there = _product(measured, v), _product(x, back)
        if abs(here - there) <= TOLERANCE * (measured.norm() * v.norm()).item():
            return physics
        wrong = f"is not its transpose (the dot test gives {here:.3g} and {there:.3g})"
    elif back is not None:
        wrong = f"gives {tuple(back.shape[1:])} instead of images"
    warnings.warn(
        f"A_adjoint of the operator {wrong}; automatic differentiation takes its place",
        stacklevel=4,
    )
    return _Differentiated(physics, tuple(x.shape))


def refuse_other_range(physics: Physics, y: Tensor, size: Sequence[int], sigma: float) -> None:
    """Refuse measurements that are far larger than those of images in [0, 1].

    Args:
        physics: the operator.
        y: measurements (B, ...).
        size: shape (C, H, W) of the images.
        sigma: standard deviation of the noise.

    Raises:
        InputError: one sentence that says what they look like.
    """
    rng = torch.Generator().manual_seed(0)
    images = torch.ones(len(y), *size), torch.rand((len(y), *size), generator=rng)
    usual = max(physics.A(x.to(y.device)).abs().mean().item() for x in images)
    found = y.abs().mean().item()
    if usual > 0 and found > FAR * usual + 3 * sigma:
        raise InputError(
            f"these measurements are {found / usual:.0f} times as large as those of a white image: "
            "they look like those of an image in [0, 255], while images here are in [0, 1]; divide "
            "by 255"
        )


def _of_function(function: Callable[..., Any]) -> Physics:
    return Physics(A=lambda x, **kwargs: function(x))


def _with_photons(physics: Physics, y: Tensor) -> Tensor:
    """Measurements of log-Poisson noise in which no photon is taken as half of one."""
    noise = physics.noise_model
    if not isinstance(noise, LogPoissonNoise) or not y.isposinf().any():
        return y
    warnings.warn(
        f"no photon arrived in {int(y.isposinf().sum())} measurements; they are taken as half of "
        "one",
        stacklevel=5,
    )
    darkest = (2 * noise.get_buffer("N0")).log() / noise.get_buffer("mu")
    return torch.where(y.isposinf(), darkest.to(y).reshape(-1, *[1] * (y.ndim - 1)), y)


def _tensor(y: Any) -> Tensor:
    """A tensor in single precision, real or complex."""
    if isinstance(y, np.ndarray):
        y = torch.from_numpy(y)
    if not isinstance(y, Tensor) or y.ndim < 2:
        shape = f" of shape {tuple(y.shape)}" if isinstance(y, Tensor) else ""
        raise InputError(
            f"the measurements are {_called(y)}{shape}; give a tensor or an array (B, ...), such "
            "as physics(x) of images x (B, C, H, W)"
        )
    return y.to(torch.complex64 if y.is_complex() else torch.float32)


def _called(thing: object) -> str:
    """What something is, with its article."""
    name = type(thing).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _measured(physics: Physics, x: Tensor) -> Any:
    """What the operator makes of images, or what goes wrong."""
    try:
        with torch.no_grad():
            return physics.A(x)
    except _CANNOT as error:
        return error


def _product(a: Tensor, b: Tensor) -> float:
    """The real part of the inner product."""
    return (a.double() * b.double() if not a.is_complex() else (a.conj() * b).real).sum().item()


def _ends(physics: Physics) -> dict[str, Any]:
    """The noise and the sensor of an operator, as arguments of another."""
    return {"noise_model": physics.noise_model, "sensor_model": physics.sensor_model}


class _Shown(LinearPhysics, ABC):
    """An operator that takes images in another form."""

    def __init__(self, physics: Physics, y: Tensor) -> None:
        super().__init__(**_ends(physics))
        self.physics, self.frames = physics, y.shape[2] if y.ndim > 4 else 1

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Measurements of images (B, C, H, W)."""
        return self.physics.A(self.shown(x))

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W) from measurements."""
        assert isinstance(self.physics, LinearPhysics)
        return self.hidden(self.physics.A_adjoint(y))

    @abstractmethod
    def shown(self, x: Tensor) -> Tensor:
        """Images in the form that the operator takes."""

    @abstractmethod
    def hidden(self, x: Tensor) -> Tensor:
        """The transpose of `shown`."""


class _AsReal(_Shown):
    def shown(self, x: Tensor) -> Tensor:
        return x

    def hidden(self, x: Tensor) -> Tensor:
        return x.real


class _AsComplex(_Shown):
    def shown(self, x: Tensor) -> Tensor:
        return x.to(torch.complex64)

    def hidden(self, x: Tensor) -> Tensor:
        return x.real


class _AsRealPart(_Shown):
    def shown(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.zeros_like(x)], 1)

    def hidden(self, x: Tensor) -> Tensor:
        return x[:, :1]


class _AsFrames(_Shown):
    def shown(self, x: Tensor) -> Tensor:
        return x[:, :, None].expand(-1, -1, self.frames, -1, -1)

    def hidden(self, x: Tensor) -> Tensor:
        return x.sum(2)


def _linear_or_not(form: type[_Shown]) -> Callable[[Physics, Tensor], Physics]:
    def shown(physics: Physics, y: Tensor) -> Physics:
        made = form(physics, y)
        if isinstance(physics, LinearPhysics):
            return made
        return Physics(A=lambda x, **kwargs: made.A(x), **_ends(physics))

    return shown


_FORMS = {
    _linear_or_not(_AsComplex): "the operator takes complex images; the generator's are taken as "
    "their real part, the imaginary part being 0",
    _linear_or_not(_AsRealPart): "the operator takes two channels, real and imaginary part; the "
    "generator's channel is taken as the real part, the imaginary part being 0",
    _linear_or_not(_AsFrames): "the operator takes a scene that moves; the generator's image is "
    "taken as every frame of it",
}


class _Differentiated(LinearPhysics):
    """A linear operator with the transpose that automatic differentiation gives."""

    def __init__(self, physics: LinearPhysics, size: tuple[int, ...]) -> None:
        super().__init__(**_ends(physics))
        self.physics = physics
        self.transposed = adjoint_function(physics.A, size)

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Measurements of images (B, C, H, W)."""
        return self.physics.A(x)

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W) from measurements."""
        return self.transposed(y)
