"""Operators from a user's Python file, which is run: the one place that runs a file."""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from deepinv.physics import LinearPhysics, Physics
from torch import Tensor

from interlayer.errors import InputError


class Differentiable(LinearPhysics):
    """A linear function of images as physics, whose adjoint comes from differentiating it.

    Args:
        function: function x (B, C, H, W) -> y (B, ...), linear in x.
        img_size: shape (C, H, W) of the images.

    >>> flip = Differentiable(lambda x: x.flip(-1), (1, 2, 2))
    >>> flip.A_adjoint(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten().tolist()
    [2.0, 1.0, 4.0, 3.0]
    """

    def __init__(self, function: Callable[[Tensor], Tensor], img_size: tuple[int, ...]) -> None:
        super().__init__(img_size=tuple(img_size))
        self.size, self.function = tuple(img_size), function

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Measurements of images (B, C, H, W) by the function."""
        return self.function(x)

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W)."""
        transposed = torch.func.vjp(self.function, y.new_zeros(len(y), *self.size))[1]
        return transposed(y)[0]


def physics_from_file(
    path: Path, function: str, img_size: tuple[int, ...], seed: int = 0
) -> Physics:
    """Run a Python file and return the operator that one of its functions makes.

    The function is called as ``function(img_size, seed)``, with as many of the two as it takes. It
    returns deepinv physics, or a differentiable function ``x -> y`` of image batches; that
    becomes `Differentiable` if it has a true attribute ``linear`` or is found to be linear, and
    plain `deepinv.physics.Physics` otherwise.

    Raises:
        InputError: if the file or the function is missing, fails, or returns something else.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a Python file that defines {function}")
    try:
        make = runpy.run_path(str(path)).get(function)
        if not callable(make):
            raise InputError(f"{path} defines no function {function}; define {function}(img_size)")
        made: Any = make(*(img_size, seed)[: _positional(make)])
        if not callable(made):
            raise InputError(
                f"{function} in {path} returned {type(made).__name__}; "
                "return deepinv physics or a function of images"
            )
        physics = made if isinstance(made, Physics) else _wrapped(made, img_size)
        x = torch.rand(2, *img_size, generator=torch.Generator().manual_seed(0))
        y = physics.A(x)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split()) or "no message"
        raise InputError(
            f"{path} failed with {type(error).__name__} ({reason}); correct the file"
        ) from error
    if not isinstance(y, Tensor) or y.shape[:1] != x.shape[:1]:
        raise InputError(
            f"the operator of {path} must turn images (B, {', '.join(map(str, img_size))}) into a "
            "tensor whose first dimension is B"
        )
    return physics


def _positional(make: Callable) -> int:
    """The number of arguments out of (img_size, seed) that a function takes."""
    kinds = [parameter.kind for parameter in inspect.signature(make).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 2
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(kind in named for kind in kinds)


def _wrapped(function: Callable[..., Any], img_size: tuple[int, ...]) -> Physics:
    linear = getattr(function, "linear", None)
    if linear is None:
        linear = _is_linear(function, img_size)
    # deepinv passes keyword arguments on to operators, which a plain function need not take.
    return (
        Differentiable(function, img_size) if linear else Physics(lambda x, **kwargs: function(x))
    )


@torch.no_grad()
def _is_linear(function: Callable[[Tensor], Tensor], img_size: tuple[int, ...]) -> bool:
    """Whether A(u - 3 v) = A(u) - 3 A(v) for a pair of random images, to rounding."""
    rng = torch.Generator().manual_seed(0)
    u, v = torch.randn(2, 1, *img_size, generator=rng)
    separate = function(u) - 3 * function(v)
    return torch.allclose(
        function(u - 3 * v), separate, rtol=1e-3, atol=1e-4 * separate.abs().max().item()
    )
