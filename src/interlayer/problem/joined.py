"""Operators that measure several tensors, as one that measures a single tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from deepinv.physics import GaussianNoise, LinearPhysics, NoiseModel, Physics
from deepinv.physics.noise import ZeroNoise
from deepinv.utils import TensorList
from torch import Tensor


def join(parts: Sequence[Tensor]) -> Tensor:
    """Tensors (B, ...) as one (B, N) of real numbers.

    >>> join([torch.zeros(2, 3), torch.ones(2, 1, 2, dtype=torch.complex64)]).shape
    torch.Size([2, 7])
    """
    real = [torch.view_as_real(part) if part.is_complex() else part for part in parts]
    return torch.cat([part.flatten(1) for part in real], 1)


class Joined(Physics):
    """A stack of operators whose measurements are one tensor (B, N).

    Args:
        physics: operator whose measurements are several tensors.
        parts: such measurements, for their shapes.
    """

    def __init__(self, physics: Physics, parts: Sequence[Tensor], **kwargs) -> None:
        super().__init__(noise_model=_common_noise(physics), **kwargs)
        self.physics = physics
        self.shapes = [(tuple(part.shape[1:]), part.is_complex()) for part in parts]

    @property
    def operators(self) -> list[Physics]:
        """The operators of the stack; one that is no stack is alone in it."""
        return _stack(self.physics)

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Measurements (B, N) of images (B, C, H, W)."""
        return join(list(self.physics.A(x, **kwargs)))

    def parts(self, y: Tensor) -> list[Tensor]:
        """Measurements (B, N), or their weights, as the tensors that they were."""
        found, start = list[Tensor](), 0
        for shape, complex_ in self.shapes:
            shape = (*shape, 2) if complex_ else shape
            count = torch.Size(shape).numel()
            part = y[:, start : start + count].reshape(len(y), *shape).contiguous()
            found.append(torch.view_as_complex(part) if complex_ else part)
            start += count
        return found


class LinearJoined(Joined, LinearPhysics):
    """A stack of linear operators, with its adjoint."""

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W) from measurements (B, N)."""
        assert isinstance(self.physics, LinearPhysics)
        return self.physics.A_adjoint(TensorList(self.parts(y)), **kwargs)


def as_one(physics: Physics, parts: Sequence[Tensor]) -> Physics:
    """The operator whose measurements are those of ``physics``, joined."""
    linear = isinstance(physics, LinearPhysics)
    return (LinearJoined if linear else Joined)(physics, parts)


def _stack(physics: Physics) -> list[Physics]:
    return list(getattr(physics, "physics_list", [physics]))


def _common_noise(physics: Physics) -> NoiseModel:
    """The noise of a stack if all its operators share it, else a noise of unknown kind."""
    models = [each.noise_model for each in _stack(physics)]
    if all(model is None or isinstance(model, ZeroNoise) for model in models):
        return ZeroNoise()
    sigmas = [m.get_buffer("sigma") for m in models if isinstance(m, GaussianNoise)]
    if len(sigmas) == len(models) and all(torch.equal(sigmas[0], sigma) for sigma in sigmas):
        return GaussianNoise(sigmas[0])
    return NoiseModel()
