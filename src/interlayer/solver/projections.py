"""Euclidean projections onto the sets that constrain a stage."""

from __future__ import annotations

import torch
from deepinv.physics import (
    LinearPhysics,
)
from torch import Tensor

THINNED, RUN = 16_384, 1024


def project_l1_ball(v: Tensor, radius: float) -> Tensor:
    r"""Nearest point of the l1 ball, for each image of a batch.

    ``argmin_u ||u - v||_2`` over ``||u||_1 <= radius``, which is soft-thresholding by the ``τ``
    with ``Σ max(|v_i| - τ, 0) = radius``. ``τ`` comes from Michelot's iteration, started near the
    end: linear time, long sums in float64, so that 10^7 float32 entries stay exact to rounding.

    Args:
        v: points (B, ...); each row ``v[b]`` is projected as one vector.
        radius: radius of the ball, in the units of ``v``; at least 0.

    Returns:
        A new tensor; rows inside the ball are returned unchanged.

    Raises:
        ValueError: if ``radius`` is negative or not a number.

    Reference: C. Michelot, J. Optim. Theory Appl. 50 (1986); Condat, Math. Program. 158 (2016).

    >>> project_l1_ball(torch.tensor([[3.0, -1.0], [0.2, 0.1]]), radius=2.0)
    tensor([[2.0000, 0.0000],
            [0.2000, 0.1000]])
    """
    tau = l1_thresholds(v, radius)
    return v - v.clamp(-tau, tau)


def l1_thresholds(v: Tensor, radius: float) -> Tensor:
    """The soft thresholds (B, 1, ...) that bring points (B, ...) to the l1 ball; 0 inside it."""
    if not radius >= 0:
        raise ValueError(f"the radius of an l1 ball must be at least 0, not {radius}")
    thresholds = torch.stack([_threshold(row.flatten(), radius) for row in v])
    return thresholds.to(v.dtype).reshape(-1, *[1] * (v.ndim - 1))


def _threshold(row: Tensor, radius: float) -> Tensor:
    """The soft threshold τ that brings ``row`` to the ball; 0 for a row inside it.

    ``f(τ) = Σ max(|v_i| - τ, 0)`` is convex, decreasing and piecewise linear: Newton's method lands
    left of the root after one step from anywhere, climbs, and is exact once it meets a linear
    piece. A threshold found on every k-th entry is close enough to be there in a few steps.
    """
    size = row.abs()
    whole = _sum(size) - radius
    if whole <= 0:
        return torch.zeros_like(whole)
    tau, count, climbing = whole / row.numel(), row.numel(), True
    if row.numel() >= 2 * THINNED:
        sample = row[:: row.numel() // THINNED]
        guess = _threshold(sample, radius * sample.numel() / row.numel())
        if guess < size.max():
            tau, count, climbing = guess, 0, False
    while True:
        rounded = tau.to(size.dtype)  # which is what is subtracted
        above = (size - rounded).clamp_min_(0)
        active = int(torch.count_nonzero(above))
        step = (_sum(above) - radius) / max(1, active)
        if active in (0, count) or (climbing and step <= 0):
            return tau
        tau, count, climbing = rounded.double() + step, active, True


def _sum(x: Tensor) -> Tensor:
    """Sum in float64 of sums of short runs in float32, which are as exact and much faster."""
    short = x.numel() // RUN * RUN
    return x[:short].view(-1, RUN).sum(1).sum(dtype=torch.float64) + x[short:].sum(
        dtype=torch.float64
    )


def project_sphere(z: Tensor) -> Tensor:
    r"""Nearest point of the sphere of radius ``sqrt(d)``, for each code of d entries.

    A high-dimensional Gaussian lives there (PULSE, arXiv 2003.03808). A zero code stays zero.

    Args:
        z: codes (B, num_ws, d), or one code per image of any other shape.

    >>> project_sphere(torch.tensor([[3.0, 4.0]])).norm().item() ** 2
    2.0000...
    """
    codes = z if z.ndim == 3 else z.flatten(1)
    norm = codes.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(z.dtype).tiny)
    return (codes * (codes.shape[-1] ** 0.5 / norm)).reshape(z.shape)


PROJECTION_STEPS = 30
EPSILON = torch.finfo(torch.float32).eps


def project_onto_measurements(
    physics: LinearPhysics, y: Tensor, x: Tensor, steps: int = PROJECTION_STEPS
) -> Tensor:
    r"""Nearest image with ``A x = y``: ``x + Aᵀ (A Aᵀ)⁻¹ (y - A x)`` by conjugate gradients.

    Every step brings x nearer to every solution, so that stopping early does no harm (Craig's
    method); where only rounding is left of the residual, going on would lead anywhere.

    >>> from deepinv.physics import Inpainting
    >>> physics = Inpainting((1, 1, 2), mask=torch.tensor([[[1.0, 0.0]]]))
    >>> y = torch.tensor([[[[0.7, 0.0]]]])
    >>> project_onto_measurements(physics, y, torch.full((1, 1, 1, 2), 0.5))
    tensor([[[[0.7000, 0.5000]]]])
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a.conj() * b).real.flatten(1).sum(1).reshape(-1, *[1] * (y.ndim - 1))

    residual = y - physics.A(x)
    direction, square = residual, dot(residual, residual)
    least = torch.maximum(1e-12 * square, (8 * EPSILON) ** 2 * dot(y, y))
    for _ in range(steps):
        image = physics.A_adjoint(direction)
        curvature = (image * image).flatten(1).sum(1)
        going = (square > least).flatten() & (curvature > 0)
        if not going.any():
            break
        step = torch.where(going, square.flatten() / curvature, 0)
        x = x + step.reshape(-1, 1, 1, 1) * image
        residual = residual - step.reshape(square.shape) * physics.A(image)
        following = dot(residual, residual)
        direction = residual + following / square.clamp_min(1e-30) * direction
        square = following
    return x
