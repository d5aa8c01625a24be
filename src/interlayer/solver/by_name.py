"""Methods by name, as the command line, the studies and the page run them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import torch

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.methods.classical import CLASSICAL
from interlayer.methods.presets import METHODS
from interlayer.methods.stages import Method
from interlayer.problem.fidelity import measurement_loss
from interlayer.problem.problem import Problem
from interlayer.solver.records import DEFAULT_SETTINGS, Settings, Solution, StageRecord, State
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
