"""Methods by name, as the command line, the studies and the page run them, and in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from deepinv.physics import Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.methods.classical import CLASSICAL
from interlayer.methods.presets import METHODS
from interlayer.methods.stages import Method
from interlayer.problem.border import accepted
from interlayer.problem.fidelity import Fidelity, measurement_loss
from interlayer.problem.problem import Problem
from interlayer.solver.records import (
    DEFAULT_SETTINGS,
    GeneratorPoint,
    Settings,
    Solution,
    StageRecord,
    State,
)
from interlayer.solver.sampling import sample
from interlayer.solver.solving import iterate

QUALITIES: Mapping[str, float] = {"draft": 0.35, "normal": 1.0, "best": 3.0}
"""Shares of a method's own number of steps."""


def method_names() -> tuple[str, ...]:
    """Every name that `reconstruct` knows, the default first."""
    return (*METHODS, *CLASSICAL)


def named_method(name: str, quality: str = "normal", steps: int | None = None) -> Method:
    """The settings of a method that uses a generator.

    Args:
        name: a key of `METHODS`.
        quality: a key of `QUALITIES`.
        steps: number of steps in all, instead of the quality's.

    Raises:
        InputError: if the method or the quality is unknown.

    >>> named_method("ilo", "draft").steps, named_method("csgm", steps=7).steps
    (42, 7)
    """
    for word, table in ((name, METHODS), (quality, QUALITIES)):
        if word not in table:
            raise InputError(f"{word!r} is none of {', '.join(table)}")
    preset = METHODS[name]
    if steps is None:
        steps = max(1, round(preset().steps * QUALITIES[quality]))
    return preset(steps)


def solve(
    physics: Physics | Callable[[Tensor], Tensor],
    y: Any,
    generator: Generator,
    method: Method | str = "auto",
    *,
    seed: int | Sequence[int] = 0,
    holdout: float = 0.1,
    fidelity: Fidelity | None = None,
    start: GeneratorPoint | None = None,
    callback: Callable[[State], object] | None = None,
) -> Solution:
    r"""Recover images from measurements ``y = A(x) + noise`` with a generator as the prior.

    Each stage p of the method minimises the measurement error ``L(A(G_(p..L)(h)), y)``, the mean
    square unless the operator's noise or sensor calls for another, over its layer's input h within
    ``||(h - c) / std||_1 <= radius * numel``, ``c`` being the point that the stages before reached,
    by projected Adam steps. The estimate is the step with the least error on held-out measurements.
    The short form of `iterate` and `reconstruct`.

    Args:
        physics: deepinv forward operator on (B, C, H, W) images of the generator's size whose
            ``A`` can be differentiated, or a function that maps such images to measurements.
        y: measurements (B, ...), a tensor or an array; several of them for operators that give
            several.
        generator: the prior.
        method: stages to run, e.g. `ilo()`, or the name of a method, see `reconstruct`.
        seed: seed of everything random, or one per image, see `Settings`.
        holdout: fraction of the measurements that judge.
        fidelity: a measurement error of your own, see `Fidelity`.
        start: point to start from, such as the ``point`` of another solution.
        callback: function that is called with every step, see `State`.

    Raises:
        InputError: if ``y`` holds NaN or infinity, or an argument does not fit the others.

    Reference: Daras et al., Intermediate Layer Optimization, ICML 2021, arXiv 2102.07364.

    >>> from interlayer import ilo, make_physics, solve
    >>> from interlayer.generators import ToyGenerator
    >>> G = ToyGenerator()
    >>> x = G(G.sample([7]))
    >>> physics = make_physics("inpaint:0.5", x.shape[1:])
    >>> solution = solve(physics, physics(x), G, ilo(steps=40, layers=(0, 2)))
    >>> solution.x_hat.shape
    torch.Size([1, 3, 16, 16])
    """
    problem = Problem(*accepted(physics, y), fidelity)
    settings = Settings(seed, holdout, start)
    state = None
    for state in _states(problem, generator, method, settings):
        if callback is not None:
            callback(state)
    assert state is not None
    return state.solution()


def _states(
    problem: Problem, generator: Generator, method: Method | str, settings: Settings
) -> Iterator[State]:
    """The steps of a method, or of the one of a name."""
    if isinstance(method, Method):
        return iterate(problem, generator, method, settings)
    if isinstance(method, str):
        return reconstruct(problem, generator, method, settings=settings)
    raise InputError(
        f"the method is a {type(method).__name__}; give a Method such as ilo(), or one of "
        f"{', '.join(method_names())}"
    )


def reconstruct(
    problem: Problem,
    generator: Generator,
    method: str = "auto",
    *,
    quality: str = "normal",
    steps: int | None = None,
    samples: int = 1,
    settings: Settings = DEFAULT_SETTINGS,
) -> Iterator[State]:
    """Run a method by name: one with a generator, or a classical one without.

    Args:
        problem: measurements and their operator.
        generator: the prior; a classical method takes nothing from it.
        method: name of the method, one of `method_names`.
        quality: "draft", "normal" or "best", which sets the number of steps, see `QUALITIES`.
        steps: number of steps in all, instead of the quality's.
        samples: number of solutions to find, see `sample`; their mean is the estimate.
        settings: seed, held-out fraction and start; a classical method uses none of them.

    Raises:
        InputError: if the method or the quality is unknown, the method does not fit, or several
            samples are asked of a classical method or of several images.

    >>> from interlayer.generators import ToyGenerator
    >>> from interlayer.problem import measure
    >>> G = ToyGenerator()
    >>> problem = measure(G(G.sample([7])), "inpaint:0.5", seed=0)
    >>> [state.label for state in reconstruct(problem, G, "interpolation")]
    ['interpolation']
    """
    one_seed = isinstance(settings.seed, int)
    if samples > 1 and (method in CLASSICAL or len(problem) > 1 or not one_seed):
        raise InputError("several samples need a method with a generator, one image and one seed")
    if method in CLASSICAL:
        return _classical(problem, generator.num_layers, method)
    if method not in METHODS:
        raise InputError(f"{method!r} is none of {', '.join(method_names())}")
    stages = named_method(method, quality, steps).within(generator.num_layers)
    if samples > 1:
        return sample(problem, generator, stages, samples, settings)
    return iterate(problem, generator, stages, settings)


@torch.no_grad()
def _classical(problem: Problem, layer: int, method: str) -> Iterator[State]:
    """Run a classical method as one step in the image, which counts as layer ``layer``."""
    started = time.perf_counter()
    x = CLASSICAL[method](problem, None)
    seconds = time.perf_counter() - started
    loss = measurement_loss(problem.physics.A(x), problem.y, torch.ones_like(problem.y.abs()))
    nothing = torch.full_like(loss, torch.nan)
    record = StageRecord(
        stage=None,
        layer=layer,
        x_hat=x,
        loss=loss,
        holdout_loss=nothing,
        deviation=nothing,
        undone=torch.zeros_like(loss, dtype=torch.int64),
        seconds=seconds,
        losses=torch.stack([loss, nothing])[None],
    )
    solution = Solution(x, None, (record,), seconds)
    yield State(layer, 0, 0, loss, nothing, x, 1.0, method, lambda: solution)
