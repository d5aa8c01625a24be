"""Several solutions of one problem, whose mean is the estimate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from interlayer.generators import Generator
from interlayer.methods.stages import Method
from interlayer.problem.problem import Problem
from interlayer.solver.records import DEFAULT_SETTINGS, Samples, Settings, Solution, State
from interlayer.solver.solving import iterate


def sample(
    problem: Problem,
    generator: Generator,
    method: Method,
    count: int,
    settings: Settings = DEFAULT_SETTINGS,
) -> Iterator[State]:
    """Run a method ``count`` times, each from a random latent code of its own seed.

    The estimate is the mean of the solutions: nearer to the truth in squared error than they are on
    average, ``|mean - x|² = mean_i |x_i - x|² - mean_i |x_i - mean|²``. Their spread,
    ``solution.samples.std``, shows what the data leave open, at least.

    Args:
        problem: measurements (1, ...) of one image.
        generator: the prior.
        method: method that is run each time.
        count: number of solutions, at least 2.
        settings: seed of the first, from which the others count up, and the fraction of the
            measurements that judge, drawn anew each time.

    Yields:
        Every step, and after each run the mean so far, with its samples in the solution. A run that
        is under way does not count.

    Raises:
        ValueError: if there are several images or seeds, or too few samples.

    >>> from interlayer import ilo
    >>> from interlayer.generators import ToyGenerator
    >>> from interlayer.problem import measure
    >>> G = ToyGenerator()
    >>> problem = measure(G(G.sample([5])), "half:left", seed=0)
    >>> *_, state = sample(problem, G, ilo(40, layers=(0, 2)), count=4)
    >>> left, right = state.solution().samples.std.chunk(2, dim=-1)
    >>> bool(left.mean() > right.mean())  # what was not measured is uncertain
    True
    """
    if len(problem) != 1 or count < 2 or not isinstance(settings.seed, int):
        raise ValueError("give one image and one seed, and ask for at least 2 samples")
    method = replace(method, random_start=True)
    found: tuple[Solution, ...] = ()
    for number in range(count):
        prefix, state = f"{number + 1}/{count}", None
        for state in iterate(
            problem, generator, method, replace(settings, seed=settings.seed + number)
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
    samples = Samples(torch.cat([solution.x_hat for solution in found]))
    seconds = sum(solution.seconds for solution in found)
    return replace(found[-1], x_hat=samples.mean, samples=samples, seconds=seconds)
