"""Preparations for a run: refuse what cannot be solved, and find the starting point."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.base import Generator, LayerState, gaussian_by_seed
from interlayer.methods.stages import Latent, Layer, Method, Stage
from interlayer.problem.border import refuse_other_range, taking, with_adjoint
from interlayer.problem.problem import Problem
from interlayer.solver.records import GeneratorPoint
from interlayer.solver.search_space import SearchSpace


def fitted(method: Method, generator: Generator) -> Method:
    """The method without the layers that a generator lacks, which a warning names."""
    lacking = sorted({s.layer for s in method.stages if s.layer >= generator.num_layers})
    if not lacking:
        return method
    warnings.warn(
        f"{generator.name} has layers 0 to {generator.num_layers - 1}; {method.name} leaves out "
        f"{', '.join(map(str, lacking))}",
        stacklevel=3,
    )
    return method.within(generator.num_layers)


@torch.no_grad()
def fitting(problem: Problem, generator: Generator) -> Problem:
    """The problem where the generator is, on images as it makes them.

    Raises:
        InputError: one sentence that says what does not fit.
    """
    if generator.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"{generator.name} has weights of {generator.dtype}, in which steps are lost to "
            "rounding; give generator.float(), whose precision sets the type of large activations"
        )
    physics, y = problem.physics, problem.y
    if any(t.is_inference() for t in (y, *physics.buffers(), *physics.parameters())):
        physics, y = copy.deepcopy(physics), y.clone()
    device = generator.sample([0]).device
    if y.device != device:
        physics, y = copy.deepcopy(physics).to(device), y.to(device)
    size = generator.img_size
    physics = taking(physics, y, size)
    if not problem.slow:
        physics = with_adjoint(physics, y, size)
        if problem.noise.source in ("none", "known"):
            refuse_other_range(physics, y, size, problem.noise.sigma or 0.0)
    if physics is problem.physics and y is problem.y:
        return problem
    return replace(problem, physics=physics, y=y)


def starting_space(
    generator: Generator,
    method: Method,
    seeds: Sequence[int],
    start: GeneratorPoint | None,
    like: Tensor,
) -> SearchSpace:
    """The starting point: a given one, else the mean, or a random one if the method asks.

    Raises:
        InputError: if the latent codes of the given point are those of another generator or batch.
    """
    layer, centre = 0, LayerState()
    if start is not None:
        z = start.z.to(like)
        if len(z) != len(seeds) or z.shape[1:] != generator.latent_shape:
            raise InputError(
                f"the solution to start from has latent codes {tuple(z.shape)}, but "
                f"{generator.name} needs {(len(seeds), *generator.latent_shape)}"
            )
        if start.h is not None and start.layer <= method.stages[0].layer:
            layer, centre = start.layer, start.state(generator).map(lambda t: t.to(like))
    elif method.random_start or not generator.starts_at_mean:
        z = gaussian_by_seed(seeds, generator.latent_shape).to(like)
    else:
        z = like.new_zeros(len(seeds), *generator.latent_shape)
    return SearchSpace(generator, Stage(Layer(layer) if layer else Latent(), steps=1), z, centre)
