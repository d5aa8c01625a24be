"""Methods as models of deepinv."""

from __future__ import annotations

from deepinv.models import Reconstructor
from deepinv.physics import Physics
from torch import Tensor

from interlayer.generators import Generator
from interlayer.methods.stages import Method
from interlayer.solver.by_name import solve


class GeneratorReconstructor(Reconstructor):
    """`solve` as a deepinv model: ``x_hat = model(y, physics)``."""

    def __init__(
        self, generator: Generator, method: Method | str, seed: int, holdout: float
    ) -> None:
        super().__init__()
        self.generator, self.method, self.seed, self.holdout = generator, method, seed, holdout

    def forward(self, y: Tensor, physics: Physics, **kwargs) -> Tensor:
        """Estimates (B, C, H, W) in [0, 1]."""
        solution = solve(
            physics, y, self.generator, self.method, seed=self.seed, holdout=self.holdout
        )
        return solution.x_hat


def as_reconstructor(
    generator: Generator, method: Method | str = "auto", *, seed: int = 0, holdout: float = 0.1
) -> Reconstructor:
    """Wrap a method, or its name, and a generator as a `deepinv.models.Reconstructor`.

    For `deepinv.test` and any other pipeline of deepinv.
    """
    return GeneratorReconstructor(generator, method, seed, holdout)
