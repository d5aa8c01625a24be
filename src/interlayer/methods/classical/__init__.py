"""Classical reconstructions, which need no generator: baselines, and parts of other methods."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from torch import Tensor

from interlayer.methods.classical.denoising import bm3d
from interlayer.methods.classical.filling import bicubic, fill, interpolation, membrane, plain
from interlayer.methods.classical.priors import PRIORS, Prior, TotalVariation, Wavelets
from interlayer.methods.classical.sparse import (
    LAMBDAS,
    Grid,
    SparsePath,
    coarse_factor,
    refined,
    tv,
    wavelet,
)
from interlayer.methods.classical.untrained import dip
from interlayer.problem.problem import Problem

# (problem, weight) -> x_hat (B, C, H, W) in [0, 1]; weights are 0 or 1 and broadcast to y.
Classical: TypeAlias = Callable[[Problem, Tensor | None], Tensor]

CLASSICAL: Mapping[str, Classical] = {
    "interpolation": interpolation,
    "bicubic": bicubic,
    "plain": plain,
    "tv": tv,
    "wavelet": wavelet,
    "bm3d": bm3d,
    "dip": dip,
}

__all__ = [
    "CLASSICAL",
    "LAMBDAS",
    "PRIORS",
    "Classical",
    "Grid",
    "Prior",
    "SparsePath",
    "TotalVariation",
    "Wavelets",
    "bicubic",
    "bm3d",
    "coarse_factor",
    "dip",
    "fill",
    "interpolation",
    "membrane",
    "plain",
    "refined",
    "tv",
    "wavelet",
]
