"""Measurements as pictures that a person can look at."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.problem.problem import Problem


def picture_of(problem: Problem, size: int) -> Tensor:
    """Show the measurements of one image as a picture, (1, 3, size, size).

    Small and grey images are enlarged, and lone known pixels grow until they are seen. A vector of
    measurements fills a square row by row, from its least value (black) to its greatest (white).
    """
    y = problem.y
    if problem.picture:
        known = (y != 0).any(dim=1).float().mean().item()
        spread = 2 * round((0.3 / max(known, 1e-4)) ** 0.5 / 2) + 1 if known < 0.1 else 1
        shown = F.max_pool2d(y, spread, stride=1, padding=spread // 2)
        return F.interpolate(shown, (size, size), mode="nearest").clamp(0, 1)
    if problem.depicts:
        shown, known = problem.picture_in(torch.ones(1, device=y.device))
        whole = shown.where(known, 0).expand(-1, 3, -1, -1)
        return F.interpolate(whole, (size, size), mode="nearest").clamp(0, 1)
    values = y.abs().flatten() if y.is_complex() else y.flatten()
    side = int(values.numel() ** 0.5 + 0.999999)
    low, high = values.min(), values.max()
    tiles = torch.ones(side * side).index_copy(
        0, torch.arange(values.numel()), ((values - low) / (high - low).clamp_min(1e-12)).cpu()
    )
    square = tiles.reshape(1, 1, side, side).expand(1, 3, side, side)
    return F.interpolate(square, (size, size), mode="nearest")


def back_projection(problem: Problem) -> Tensor:
    """Return ``α Aᵀ y`` in [0, 1], with the α that brings ``A (α Aᵀ y)`` nearest to ``y``.

    For measurements that are no picture, whose ``Aᵀ y`` is faint, the contrast is stretched
    instead: the mean becomes grey, three standard deviations black and white.

    Raises:
        InputError: if the operator is not linear.
    """
    physics, y = problem.linear_physics, problem.y
    x = physics.A_adjoint(y)
    if not problem.planar:
        return ((x - x.mean()) / (6 * x.std()).clamp_min(1e-12) + 0.5).clamp(0, 1)
    again = physics.A(x)
    alpha = (again * y).sum() / (again * again).sum().clamp_min(1e-12)
    return (alpha * x).clamp(0, 1)
