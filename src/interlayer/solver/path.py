"""Estimates along a path of regularisation weights, judged by held-out measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from deepinv.physics import (
    LinearPhysics,
)
from torch import Tensor

from interlayer.methods.classical import (
    path,
)
from interlayer.problem.holdout import Best, Split

ITERATIONS, LAST_ITERATIONS = 10, 20


class _Path:
    """A regularisation path whose λ is judged by held-out measurements.

    Around a centre, no deviation at all (an infinite λ) is the first one tried.
    """

    def __init__(
        self,
        physics: LinearPhysics,
        y: Tensor,
        split: Split,
        prior: str,
        centre: Tensor | None = None,
    ) -> None:
        self.physics, self.y, self.split, self.prior = physics, y, split, prior
        self.centre, self.best = centre, Best()

    def tried(
        self, lambdas: Sequence[float], judge: Callable[[Tensor], Tensor], start: Tensor | None
    ) -> Iterator[Tensor]:
        """Estimates from the fitted measurements, one for each λ."""
        if self.centre is not None:
            self._offer(judge(self.centre), torch.inf, self.centre)
        tried = path(
            self.physics,
            self.y,
            self.split.fit,
            self.prior,
            lambdas,
            start,
            centre=self.centre,
            steps=ITERATIONS,
        )
        for lambda_, x in tried:
            self._offer(judge(x), float(lambda_), x)
            yield x

    def _offer(self, error: Tensor, lambda_: float, x: Tensor) -> None:
        self.best.offer(error, x=x, lambda_=torch.full_like(x[:, :1, :1, :1], lambda_))

    def from_everything(self, centre: Tensor | None = None) -> Tensor:
        """The estimate from all measurements with the λ found, perhaps around another centre."""
        lambda_, start = self.best["lambda_"], self.best["x"]
        if centre is not None and self.centre is not None:
            start = centre + start - self.centre
        again = path(
            self.physics,
            self.y,
            self.split.fit + self.split.held,
            self.prior,
            [lambda_.nan_to_num(posinf=1.0)],
            start,
            centre=centre,
            steps=LAST_ITERATIONS,
        )
        return torch.where(lambda_.isinf(), start, next(again)[1])
