"""Several solutions of one problem, and what they agree on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from deepinv.physics import Physics
from torch import Tensor

from interlayer.generators import Generator
from interlayer.methods.stages import Method
from interlayer.solver.objective import Fidelity
from interlayer.solver.records import Solution, State
from interlayer.solver.solving import iterate


def sample(
    physics: Physics,
    y: Tensor,
    generator: Generator,
    method: Method,
    count: int,
    *,
    seed: int = 0,
    holdout: float = 0.1,
    fidelity: Fidelity | None = None,
) -> Iterator[State]:
    """Run a method ``count`` times, each from a random latent code of its own seed.

    The estimate is the mean of the solutions: nearer to the truth in squared error than they are on
    average, ``|mean - x|² = mean_i |x_i - x|² - mean_i |x_i - mean|²``. What they differ in,
    ``solution.std``, is what the data leave open, at least.

    Args:
        physics: see `interlayer.solver.solving`.
        y: measurements (1, ...) of one image.
        generator: the prior.
        method: what is run each time.
        count: at least 2.
        seed: of the first; the others count up from it.
        holdout: fraction of the measurements that judge, drawn anew each time.
        fidelity: see `interlayer.solver.solving`.

    Yields:
        Every step, and after each run the mean so far, with its samples in the solution. A run that
        is under way does not count.

    Raises:
        ValueError: if there are several images or too few samples.

    >>> from interlayer import ToyGenerator, ilo, make_physics
    >>> G = ToyGenerator()
    >>> physics = make_physics("half:left", (3, 16, 16))
    >>> y = physics(G(G.sample([5])))
    >>> *_, state = sample(physics, y, G, ilo(40, layers=(0, 2)), count=4)
    >>> left, right = state.solution().std.chunk(2, dim=-1)
    >>> bool(left.mean() > right.mean())  # what was not measured is uncertain
    True
    """
    if len(y) != 1 or count < 2:
        raise ValueError("give the measurements of one image and ask for at least 2 samples")
    method = replace(method, random_start=True)
    found: tuple[Solution, ...] = ()
    for number in range(count):
        prefix, state = f"{number + 1}/{count}", None
        for state in iterate(
            physics,
            y,
            generator,
            method,
            seed=seed + number,
            holdout=holdout,
            fidelity=fidelity,
        ):
            best = (lambda found=found: _together(found)) if found else state.solution
            done = (number + state.progress) / count
            yield replace(state, progress=done, label=f"{prefix} {state.label}", _solution=best)
        assert state is not None
        found = (*found, state.solution())
        mean = _together(found)
        done = (number + 1) / count
        yield replace(
            state, x=mean.x_hat, progress=done, label=prefix, _solution=lambda mean=mean: mean
        )


def _together(found: Sequence[Solution]) -> Solution:
    """The last solution with the mean of all as its estimate, and the time of all."""
    x = torch.cat([solution.x_hat for solution in found])
    seconds = sum(solution.seconds for solution in found)
    return replace(found[-1], x_hat=x.mean(0, keepdim=True), samples=x, seconds=seconds)
