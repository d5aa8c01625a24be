"""Adam for a batch of independent problems, its step size over time, and Langevin noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
WARM_UP, RAMP_DOWN = 0.05, 0.25


class BatchAdam:
    """Adam (arXiv 1412.6980) over variables whose first dimension is the batch.

    An image whose loss stops being finite, or leaps to ``LEAP`` times the best it had, is put back
    to where it was before its last step, forgets its momentum and goes on with half the step size;
    the other images are not touched.

    Args:
        variables: leaf tensors (B, ...) that take gradients; changed in place.
    """

    LEAP = 100.0

    def __init__(self, variables: Sequence[Tensor]) -> None:
        self.variables = list(variables)
        batch, device = self.variables[0].shape[0], self.variables[0].device
        self._mean = [torch.zeros_like(v) for v in self.variables]
        self._square = [torch.zeros_like(v) for v in self.variables]
        self._before = [v.detach().clone() for v in self.variables]
        self._age = torch.zeros(batch, device=device)
        self._factor = torch.ones(batch, device=device)
        self._lowest = torch.full((batch,), torch.inf, device=device)
        self.undone = torch.zeros(batch, dtype=torch.int64, device=device)

    @torch.no_grad()
    def step(self, loss: Tensor, gradients: Sequence[Tensor], lr: float) -> None:
        """One update from per-image losses (B,) and gradients at the current variables."""
        bad = ~loss.isfinite() | (loss > self.LEAP * self._lowest)
        for gradient in gradients:
            bad |= ~gradient.flatten(1).isfinite().all(1)
        self._lowest = torch.where(bad, self._lowest, torch.minimum(loss, self._lowest))
        self.undone += bad
        self._factor = torch.where(bad, self._factor / 2, self._factor)
        self._age = torch.where(bad, torch.zeros_like(self._age), self._age + 1)
        size = lr * self._factor / (1 - BETA_1 ** self._age.clamp_min(1))
        unbias = 1 - BETA_2 ** self._age.clamp_min(1)
        moments = zip(self._mean, self._square, self._before, strict=True)
        for variable, gradient, (mean, square, before) in zip(
            self.variables, gradients, moments, strict=True
        ):
            undo = _per_image(bad, variable)
            gradient = torch.where(undo, torch.zeros_like(gradient), gradient)
            mean.mul_(BETA_1).add_(gradient, alpha=1 - BETA_1).masked_fill_(undo, 0)
            square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            square.masked_fill_(undo, 0)
            here = torch.where(undo, before, variable)
            before.copy_(here)
            scale = (square / _per_image(unbias, variable)).sqrt_().add_(EPSILON)
            variable.copy_(here - _per_image(size, variable) * mean / scale)


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    """Values (B,) in a shape that broadcasts against a variable (B, ...)."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


class Langevin:
    """Gaussian noise for the variables of a batch; each image draws from its own seed.

    Args:
        seeds: one seed per image.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._draws = [torch.Generator().manual_seed(seed) for seed in seeds]

    @torch.no_grad()
    def stir(self, variables: Sequence[Tensor], scale: float) -> None:
        """Add ``scale`` times a standard Gaussian, in place."""
        for variable in variables:
            for row, rng in zip(variable, self._draws, strict=True):
                row.add_(torch.randn(row.shape, generator=rng).to(row), alpha=scale)


def cosine_ramp(step: int, steps: int) -> float:
    """Factor in (0, 1]: linear over the first 5 % of the steps, cosine down over the last 25 %.

    The schedule of StyleGAN2's projector (arXiv 1912.04958, appendix D).

    >>> [round(cosine_ramp(i, 20), 2) for i in (0, 10, 14, 17, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.02]
    """
    t = (step + 0.5) / steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / RAMP_DOWN))
    return min(1.0, t / WARM_UP) * down
