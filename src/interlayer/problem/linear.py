"""Parts that operators share: gradients by the adjoint, and operators one after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, overload

import torch
from deepinv.physics import LinearPhysics, Physics
from deepinv.physics.forward import ComposedLinearPhysics, ComposedPhysics
from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]


class _Linear(torch.autograd.Function):
    """A linear map whose gradient is its transpose, to any order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, product: LinearMap, transposed: LinearMap) -> Tensor:
        ctx.swapped = (transposed, product)
        return product(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None]:
        return _differentiable(gradients[0], *ctx.swapped), None, None


def _differentiable(x: Tensor, product: LinearMap, transposed: LinearMap) -> Tensor:
    y = _Linear.apply(x, product, transposed)
    assert isinstance(y, Tensor)
    return y


class MatrixFree(LinearPhysics, ABC):
    """A linear operator given by its two products, which autograd never looks into.

    The gradient of ``A`` is ``A_adjoint`` and vice versa, so that nothing between input
    and output is kept for the backward pass. A subclass defines both products.
    """

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Measurements of images (B, C, H, W)."""
        return _differentiable(x, self._product, self._transposed_product)

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W) from measurements."""
        return _differentiable(y, self._transposed_product, self._product)

    @abstractmethod
    def _product(self, x: Tensor) -> Tensor:
        """The product ``A x``, outside autograd."""

    @abstractmethod
    def _transposed_product(self, y: Tensor) -> Tensor:
        """The product ``Aᵀ y``, outside autograd."""


def replicate_transposed(padded: Tensor, pads: tuple[int, int, int, int]) -> Tensor:
    """The transpose of padding by replication: pads (left, right, above, below) fold onto edges.

    >>> replicate_transposed(torch.ones(1, 1, 3, 4), (1, 1, 0, 1))[0, 0]
    tensor([[2., 2.],
            [4., 4.]])
    """
    left, right, above, below = pads
    height, width = padded.shape[-2:]
    x = padded[..., above : height - below, left : width - right].clone()
    if not any(pads):
        return x
    rows = padded[..., left : width - right]
    x[..., 0, :] += rows[..., :above, :].sum(-2)
    x[..., -1, :] += rows[..., height - below :, :].sum(-2)
    for outside, column in ((padded[..., :left], 0), (padded[..., width - right :], -1)):
        inner = outside.sum(-1)
        x[..., column] += inner[..., above : height - below]
        x[..., 0, column] += inner[..., :above].sum(-1)
        x[..., -1, column] += inner[..., height - below :].sum(-1)
    return x


class Chain(ComposedPhysics):
    """Composition of operators, the first applied first; noise and sensor are the last one's."""

    def noise(self, x: Tensor, **kwargs) -> Tensor:
        # An inpainting operator leaves missing pixels free of noise; deepinv's chain would not.
        return self.physics_list[-1].noise(x, **kwargs)  # pyright: ignore[reportCallIssue]


class LinearChain(Chain, ComposedLinearPhysics):
    """Composition of linear operators, with its adjoint."""


@overload
def chain(*operators: LinearPhysics) -> LinearPhysics: ...


@overload
def chain(*operators: Physics) -> Physics: ...


def chain(*operators: Physics) -> Physics:
    """One operator that applies ``operators`` one after another, linear if all of them are.

    >>> from interlayer.problem import BlockAverage
    >>> halves = [BlockAverage((1, 8, 8), factor=2), BlockAverage((1, 4, 4), factor=2)]
    >>> chain(*halves).A(torch.ones(1, 1, 8, 8)).shape
    torch.Size([1, 1, 2, 2])
    """
    if len(operators) == 1:
        return operators[0]
    # deepinv annotates each operator as an iterable of them
    if not all(isinstance(operator, LinearPhysics) for operator in operators):
        return Chain(*operators)  # pyright: ignore[reportArgumentType]
    linear = LinearChain(*operators)  # pyright: ignore[reportArgumentType]
    linear.img_size = getattr(operators[0], "img_size", None)
    return linear


def operators_of(physics: Physics) -> list[Physics]:
    """The operators of a chain in the order in which they act; one operator is a chain of one.

    >>> from interlayer.problem import BlockAverage
    >>> halves = [BlockAverage((1, 8, 8), factor=2), BlockAverage((1, 4, 4), factor=2)]
    >>> [len(operators_of(each)) for each in (chain(*halves), halves[0])]
    [2, 1]
    """
    return list(physics.physics_list) if isinstance(physics, ComposedPhysics) else [physics]  # pyright: ignore
