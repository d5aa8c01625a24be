"""Adam for a batch of independent problems, its step size over time, and Langevin noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from interlayer.methods.stages import ADAM, Descent

BETA_2, EPSILON = 0.999, 1e-8
RAMP_DOWN = 0.25


class BatchAdam:
    """Adam (arXiv 1412.6980) over variables whose first dimension is the batch.

    An image whose loss stops being finite, or leaps to ``LEAP`` times the best it had, is put back
    to where it was before its last step, forgets its momentum and goes on with half the step size;
    the other images are not touched.

    Args:
        variables: leaf tensors (B, ...) that take gradients; changed in place.
        descent: momentum and damping.
    """

    LEAP = 100.0

    def __init__(self, variables: Sequence[Tensor], descent: Descent = ADAM) -> None:
        self.variables, self.descent = list(variables), descent
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
            bad |= ~gradient.flatten(1).sum(1).isfinite()
        self._lowest = torch.where(bad, self._lowest, torch.minimum(loss, self._lowest))
        self.undone += bad
        self._factor = torch.where(bad, self._factor / 2, self._factor)
        self._age = torch.where(bad, torch.zeros_like(self._age), self._age + 1)
        if bad.any():
            gradients = self._undo(bad, gradients)
        momentum, age = self.descent.momentum, self._age.clamp_min(1)
        size = lr * self._factor / (1 - momentum**age)
        unbias = (1 - BETA_2**age).sqrt()
        moments = zip(self._mean, self._square, self._before, strict=True)
        for variable, gradient, (mean, square, before) in zip(
            self.variables, gradients, moments, strict=True
        ):
            mean.lerp_(gradient, 1 - momentum)
            square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            before.copy_(variable)
            usual = self._usual(square)
            # variable -= size * mean / (sqrt(square) / unbias + EPSILON), in few passes
            slope, offset = 1 / (unbias * size), (usual / unbias + EPSILON) / size
            scale = square.sqrt()
            torch.addcmul(_per_image(offset, scale), scale, _per_image(slope, scale), out=scale)
            variable.addcdiv_(mean, scale, value=-1)

    def _usual(self, square: Tensor) -> Tensor | float:
        """What damping adds (B,), from the mean squares of the gradient's entries."""
        damping = self.descent.damping
        return damping * square.flatten(1).mean(1).sqrt() if damping else 0.0

    def _undo(self, bad: Tensor, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Put images back and forget their moments; return gradients that are 0 for them."""
        for variable, before in zip(self.variables, self._before, strict=True):
            variable.copy_(torch.where(_per_image(bad, variable), before, variable))
        for moment in (*self._mean, *self._square):
            moment.masked_fill_(_per_image(bad, moment), 0)
        return [g.masked_fill(_per_image(bad, g), 0) for g in gradients]


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


def cosine_ramp(step: int, steps: int, warm_up: float = ADAM.warm_up) -> float:
    """Factor in (0, 1]: linear over the first steps, cosine down over the last 25 %.

    The schedule of StyleGAN2's projector (arXiv 1912.04958, appendix D).

    Args:
        step: number of the step, from 0.
        steps: number of steps of the stage.
        warm_up: fraction of them over which the factor rises.

    >>> [round(cosine_ramp(i, 20), 2) for i in (0, 10, 14, 17, 19)]
    [0.5, 1.0, 1.0, 0.5, 0.02]
    """
    t = (step + 0.5) / steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / RAMP_DOWN))
    return min(1.0, t / warm_up) * down
