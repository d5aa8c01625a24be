"""Preparations for a run: refuse what cannot be solved, and find the starting point."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.base import Generator, LayerState, gaussian_by_seed
from interlayer.methods.stages import Latent, Layer, Method, Stage
from interlayer.problem.problem import Problem
from interlayer.solver.records import GeneratorPoint
from interlayer.solver.search_space import SearchSpace


@torch.no_grad()
def check(problem: Problem, generator: Generator, method: Method) -> None:
    """Refuse a problem or a method that does not fit the generator.

    Raises:
        InputError: one sentence that says what does not fit.
    """
    deepest = method.stages[-1].layer
    if deepest >= generator.num_layers:
        raise InputError(
            f"{generator.name} has layers 0 to {generator.num_layers - 1}, so {method.name} "
            f"cannot optimise layer {deepest}; give method.within({generator.num_layers})"
        )
    y = problem.y
    size = (1, generator.channels, generator.resolution, generator.resolution)
    try:
        expected = problem.physics.A(y.new_zeros(size, dtype=torch.float32)).shape[1:]
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the operator does not take {size[2]}x{size[3]} images, which {generator.name} makes: "
            f"{error}"
        ) from error
    if y.shape[1:] != expected:
        raise InputError(
            f"the measurements have shape {tuple(y.shape[1:])} per image, but the operator gives "
            f"{tuple(expected)}"
        )


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
