"""Any method by its name: what the command line, the benchmark and the page run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from deepinv.physics import Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.methods.classical import CLASSICAL
from interlayer.methods.presets import METHODS
from interlayer.methods.stages import Method, Stage
from interlayer.problem.fidelity import l1_loss, measurement_loss
from interlayer.solver.objective import Fidelity
from interlayer.solver.records import Solution, StageRecord, State
from interlayer.solver.sampling import sample
from interlayer.solver.solving import iterate

QUALITIES: Mapping[str, float] = {"draft": 0.35, "normal": 1.0, "best": 3.0}
"""Shares of a method's own number of steps."""


def method_names() -> tuple[str, ...]:
    """Every name that `reconstruct` knows, the default first."""
    return (*METHODS, *CLASSICAL)


def plan(method: str, quality: str = "normal", steps: int | None = None) -> Method:
    """The settings of a method that uses a generator, by its name.

    Raises:
        InputError: if the method or the quality is unknown.

    >>> plan("ilo", "draft").steps, plan("csgm", steps=7).steps
    (42, 7)
    """
    for name, table in ((method, METHODS), (quality, QUALITIES)):
        if name not in table:
            raise InputError(f"{name!r} is none of {', '.join(table)}")
    preset: Callable[..., Method] = METHODS[method]
    default = preset()
    return preset(max(1, round(default.steps * QUALITIES[quality])) if steps is None else steps)


def reconstruct(
    physics: Physics,
    y: Tensor,
    generator: Generator,
    method: str = "auto",
    *,
    quality: str = "normal",
    steps: int | None = None,
    seed: int | Sequence[int] = 0,
    holdout: float = 0.1,
    fidelity: Fidelity | None = None,
    samples: int = 1,
) -> Iterator[State]:
    """Run a method by its name, with a generator or a classical one without.

    Args:
        physics: see `interlayer.solve`, as are ``y``, ``generator``, ``seed``, ``holdout`` and
            ``fidelity``; a classical method uses none of the last four.
        y: measurements.
        generator: the prior; a classical method takes the size of images from it.
        method: one of `method_names`.
        quality: "draft", "normal" or "best": how many steps, see `QUALITIES`.
        steps: in all, instead.
        seed: of everything random.
        holdout: fraction of the measurements that judge.
        fidelity: the measurement error.
        samples: how many solutions to find, see `sample`; their mean is the estimate.

    Raises:
        InputError: if the method or the quality is unknown, the method does not fit, or there
            cannot be several samples: of a classical method, or of several images.

    >>> from interlayer import ToyGenerator, make_physics
    >>> G = ToyGenerator()
    >>> physics = make_physics("inpaint:0.5", (3, 16, 16))
    >>> y = physics(G(G.sample([7])))
    >>> [state.label for state in reconstruct(physics, y, G, "interpolation")]
    ['interpolation']
    """
    if samples > 1 and (method in CLASSICAL or len(y) > 1 or not isinstance(seed, int)):
        raise InputError("several samples need a method with a generator, one image and one seed")
    if method in CLASSICAL:
        return _classical(physics, y, generator, method)
    if method not in METHODS:
        raise InputError(f"{method!r} is none of {', '.join(method_names())}")
    stages = plan(method, quality, steps).within(generator.num_layers)
    if method == "robust":
        fidelity = fidelity or _absolute_error
        stages = stages if _is_picture(y) else without_perceptual(stages)
    if samples > 1:
        assert isinstance(seed, int)
        return sample(
            physics, y, generator, stages, samples, seed=seed, holdout=holdout, fidelity=fidelity
        )
    return iterate(physics, y, generator, stages, seed=seed, holdout=holdout, fidelity=fidelity)


def without_perceptual(method: Method) -> Method:
    """The same for measurements that are no pictures, which only the fidelity can compare."""
    stages = [
        replace(stage, losses=replace(stage.losses, perceptual=0.0)) for stage in method.stages
    ]
    return replace(method, stages=tuple(stages))


def _absolute_error(predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor) -> Tensor:
    return l1_loss(predicted, y, weight)


def _is_picture(y: Tensor) -> bool:
    return y.ndim == 4 and y.shape[1] == 3 and not y.is_complex()


@torch.no_grad()
def _classical(physics: Physics, y: Tensor, generator: Generator, method: str) -> Iterator[State]:
    started = time.perf_counter()
    x = CLASSICAL[method](physics, y, None)
    seconds = time.perf_counter() - started
    loss = measurement_loss(physics.A(x), y, torch.ones_like(y.abs()))
    nothing, stage = torch.full_like(loss, torch.nan), Stage(generator.num_layers, 1)
    z = x.new_zeros(len(x), *generator.latent_shape)
    record = StageRecord(stage, 1, x, loss, nothing, nothing, nothing.new_zeros(len(x)), seconds)
    losses = torch.stack([loss, nothing])[None]
    solution = replace(Solution.at(x, z), stages=(record,), losses=losses, seconds=seconds)
    yield State(stage, 0, 0, loss, nothing, x, 1.0, method, lambda: solution)
