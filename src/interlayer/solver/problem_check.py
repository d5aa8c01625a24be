"""Checks before the first step, and the point to begin at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from deepinv.physics import Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator, LayerState
from interlayer.generators.base import gaussian_by_seed
from interlayer.methods.stages import Method, Stage
from interlayer.solver.records import Solution
from interlayer.solver.search_space import SearchSpace


def starting_space(
    generator: Generator,
    method: Method,
    seeds: Sequence[int],
    start: Solution | None,
    like: Tensor,
) -> SearchSpace:
    """The point to begin at: another solution's, else the mean, or random if the method asks."""
    if start is not None:
        z = start.z.to(like)
        if len(z) != len(seeds) or z.shape[1:] != generator.latent_shape:
            raise InputError(
                f"the solution to start from has latent codes {tuple(z.shape)}, but "
                f"{generator.name} needs {(len(seeds), *generator.latent_shape)}"
            )
    elif method.random_start or not generator.starts_at_mean:
        z = gaussian_by_seed(seeds, generator.latent_shape).to(like)
    else:
        z = like.new_zeros(len(seeds), *generator.latent_shape)
    layer, centre = 0, LayerState()
    if start is not None and start.h is not None and start.layer <= method.stages[0].layer:
        layer = start.layer
        rgb = None if start.rgb is None else start.rgb.to(like)
        centre = replace(generator.start(z), h=start.h.to(like), rgb=rgb)
    noise = tuple(n.expand(len(seeds), *n.shape[1:]) for n in generator.start(z).noise)
    return SearchSpace(generator, Stage(layer, steps=1), z, noise, centre)


@torch.no_grad()
def check_problem(
    physics: Physics, y: Tensor, generator: Generator, method: Method, seeds: Sequence[int]
) -> None:
    """Refuse what cannot be solved, in one sentence."""
    if not y.isfinite().all():
        raise InputError("the measurements hold NaN or infinite values; remove or mask them first")
    if len(seeds) != len(y):
        raise InputError(f"{len(seeds)} seeds were given for {len(y)} images; give one for each")
    deepest = method.stages[-1].layer
    if deepest >= generator.num_layers:
        raise InputError(
            f"{generator.name} has layers 0 to {generator.num_layers - 1}, so {method.name} "
            f"cannot optimise layer {deepest}; give method.within({generator.num_layers})"
        )
    size = (1, generator.channels, generator.resolution, generator.resolution)
    try:
        expected = physics.A(y.new_zeros(size, dtype=torch.float32)).shape[1:]
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
