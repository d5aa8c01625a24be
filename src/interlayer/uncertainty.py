"""Several solutions of one problem, and what they agree on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from deepinv.physics import Physics
from torch import Tensor

from interlayer.generators import Generator
from interlayer.methods import Method
from interlayer.solve import Solution, State, iterate

ONE_SIGMA = 0.6827


@dataclass(frozen=True)
class Samples:
    """Solutions that start at different points of the prior and fit different splits of the data.

    Attributes:
        x: solutions (N, 3, H, W) in [0, 1].
        solutions: how each was found.
    """

    x: Tensor
    solutions: tuple[Solution, ...]

    @property
    def mean(self) -> Tensor:
        """Their mean (1, 3, H, W): nearer to the truth in squared error than they are on average.

        ``|mean - x|² = mean_i |x_i - x|² - mean_i |x_i - mean|²``.
        """
        return self.x.mean(0, keepdim=True)

    @property
    def std(self) -> Tensor:
        """Standard deviation of each pixel (1, 3, H, W): what the data leave open, at least."""
        return self.x.std(0, keepdim=True)

    def coverage(self, x: Tensor, width: float = 1.0) -> float:
        """Fraction of the true values within ``mean ± width * std``; 0.68 for a perfect Gaussian.

        Needs the truth, so it is a figure for benchmarks.

        >>> found = Samples(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), ())
        >>> found.coverage(torch.tensor([0.6])), found.coverage(torch.tensor([3.0]))
        (1.0, 0.0)
        """
        return ((x - self.mean).abs() <= width * self.std).float().mean().item()


def sample(
    physics: Physics,
    y: Tensor,
    generator: Generator,
    method: Method,
    count: int,
    *,
    seed: int = 0,
    holdout: float = 0.1,
) -> Iterator[tuple[State, Samples | None]]:
    """Run a method ``count`` times, each from a random latent code of its own seed.

    Args:
        physics: see `interlayer.solve`.
        y: measurements (1, ...) of one image.
        generator: the prior.
        method: what is run each time.
        count: at least 2.
        seed: of the first; the others count up from it.
        holdout: fraction of the measurements that judge, drawn anew each time.

    Yields:
        Every step; after each run also the solutions so far.

    Raises:
        ValueError: if there are several images or too few samples.

    >>> from interlayer import ToyGenerator, ilo, make_physics
    >>> G = ToyGenerator()
    >>> physics = make_physics("half:left", (3, 16, 16))
    >>> y = physics(G(G.sample([5])))
    >>> *_, (_, found) = sample(physics, y, G, ilo(40, layers=(0, 2)), count=4)
    >>> left, right = found.std.chunk(2, dim=-1)
    >>> bool(left.mean() > right.mean())  # what was not measured is uncertain
    True
    """
    if len(y) != 1 or count < 2:
        raise ValueError("give the measurements of one image and ask for at least 2 samples")
    method, found = replace(method, random_start=True), list[Solution]()
    for number in range(count):
        state = None
        for state in iterate(physics, y, generator, method, seed=seed + number, holdout=holdout):
            label = f"{number + 1}/{count} {state.label}"
            yield replace(state, progress=(number + state.progress) / count, label=label), None
        assert state is not None
        found.append(state.solution())
        both = Samples(torch.cat([solution.x_hat for solution in found]), tuple(found))
        yield replace(state, progress=(number + 1) / count, label=f"{number + 1}/{count}"), both
