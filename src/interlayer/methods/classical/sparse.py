"""Least squares with a sparsity prior, whose weight is chosen from held-out measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor

from interlayer.methods.classical.filling import bicubic, interpolation, plain
from interlayer.methods.classical.priors import PRIORS
from interlayer.problem.fidelity import measurement_loss
from interlayer.problem.holdout import Best
from interlayer.problem.linear import chain
from interlayer.problem.problem import Problem
from interlayer.problem.resampling import BicubicEnlargement

LAMBDAS = tuple(2.0**-k for k in range(12))
HELD_OUT, SEED = 0.1, 0
POWER_STEPS = 10
LEAST_SIDE = 64  # of a coarse grid, in pixels


@dataclass(frozen=True, eq=False)
class Grid:
    """The grid on which images are searched: their own, or a coarser one.

    Attributes:
        problem: measurements (B, ...) by a linear operator.
        like: images (B, C, H, W) of the size that was measured.
        factor: factor by which the grid is coarser, see `coarse_factor`.
    """

    problem: Problem
    like: Tensor
    factor: int = 1

    @cached_property
    def enlarge(self) -> BicubicEnlargement | None:
        """The map to images (B, C, H, W), ``None`` where the grid is theirs."""
        if self.factor == 1:
            return None
        return BicubicEnlargement(tuple(self.like.shape[1:]), self.factor).to(self.like.device)

    @cached_property
    def physics(self) -> LinearPhysics:
        """The operator on images of the grid."""
        measuring = self.problem.linear_physics
        return chain(self.enlarge, measuring) if self.enlarge else measuring

    @cached_property
    def squared_norm(self) -> Tensor:
        """Squared norm ``||A||²`` of that operator by the power method.

        It comes out a little low, which does no harm: FISTA stands steps up to a third too long.
        """
        rng = torch.Generator().manual_seed(SEED)
        v = torch.randn(self.small(self.like[:1]).shape, generator=rng).to(self.like)
        for _ in range(POWER_STEPS):
            v = self.physics.A_adjoint(self.physics.A(v / v.norm()))
        return v.norm()

    def small(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) on the grid."""
        return self.enlarge.small(x) if self.enlarge else x

    def large(self, u: Tensor) -> Tensor:
        """Images of the grid as (B, C, H, W)."""
        return self.enlarge(u) if self.enlarge else u


@dataclass(frozen=True, eq=False)
class SparsePath:
    r"""Estimates along a path of weights λ of a sparsity prior, each starting from the one before.

    ``argmin_x ||W (A x - y)||² / (2 ||A||²) + λ R(x - c)`` by FISTA, whose momentum is dropped
    where it points uphill. λ is in units of the image whatever the operator: with ``A = I`` it is
    a denoiser's threshold. On a coarse grid, ``x - c`` is the bicubic enlargement of a small image,
    which R regularises.

    Attributes:
        problem: measurements (B, ...) by a linear operator.
        weight: mask W, 0 or 1, broadcastable to y; ``None`` uses all measurements.
        prior: name of R, "tv" or "wavelet".
        centre: images c (B, C, H, W), the deviation from which is regularised; ``None`` is 0.
        steps: number of iterations for each λ.
        grid: grid of the deviation; ``None`` is the image's.

    Raises:
        InputError: if the operator is not linear.

    Reference: Beck and Teboulle, SIAM J. Imaging Sci. 2 (2009); O'Donoghue and Candès, Adaptive
    restart, arXiv 1204.3982.

    >>> from deepinv.physics import Denoising
    >>> y = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    >>> path = SparsePath(Problem(Denoising(), y), None, "tv")
    >>> [round(x[0, 0, 0, 0].item(), 3) for _, x in path.along([0.5, 0.25])]
    [0.25, 0.125]
    """

    problem: Problem
    weight: Tensor | None
    prior: str
    centre: Tensor | None = None
    steps: int = 10
    grid: Grid | None = None

    @torch.no_grad()
    def along(
        self, lambdas: Iterable[float | Tensor], start: Tensor | None = None
    ) -> Iterator[tuple[float | Tensor, Tensor]]:
        """Yield each λ and its estimates (B, C, H, W) in [0, 1].

        Args:
            lambdas: weights above 0, usually descending; a tensor (B, 1, 1, 1) has one per image.
            start: images (B, C, H, W) to start from; ``None`` is an interpolation, or else grey.
        """
        problem = self.problem
        weight = _ones(problem) if self.weight is None else self.weight
        start = first_picture(problem, weight) if start is None else start
        grid = self.grid or Grid(problem, start)
        physics, norm, prox = grid.physics, grid.squared_norm, PRIORS[self.prior]()
        centre, missing = torch.zeros_like(start), problem.y
        if self.centre is not None:
            centre, missing = self.centre, missing - problem.linear_physics.A(self.centre)
        u = before = grid.small(start - centre)
        kept = max(1, self.steps // 2) if prox.noisy else 1
        momentum = u.new_ones(len(u), 1, 1, 1)
        for lambda_ in lambdas:
            total = torch.zeros_like(u)
            for step in range(self.steps):
                following = (1 + (1 + 4 * momentum**2).sqrt()) / 2
                ahead = u + (momentum - 1) / following * (u - before)
                slope = physics.A_adjoint(weight * (physics.A(ahead) - missing)) / norm
                before, u = u, prox(ahead - slope, lambda_)
                uphill = ((ahead - u) * (u - before)).sum((1, 2, 3), keepdim=True) > 0
                momentum = following.masked_fill(uphill, 1)
                if step >= self.steps - kept:
                    total += u
            yield lambda_, (centre + grid.large(total / kept)).clamp(0, 1)


def coarse_factor(problem: Problem, weight: Tensor, like: Tensor) -> int:
    """The factor, 1, 2 or 4, of a grid that still has four values for each that is measured.

    Its sides are at least `LEAST_SIDE`; finer detail than that grid shows is not in so few
    measurements.

    Args:
        problem: measurements (B, ...) of images.
        weight: mask, 1 for measurements that may be used, else 0; broadcastable to ``y``.
        like: images (B, C, H, W) of the size that was measured.
    """
    measured = weight.expand_as(problem.y).flatten(1).sum(1).max().item()
    values, side = like[0].numel(), min(like.shape[-2:])
    fitting = (k for k in (4, 2) if values >= 4 * k**2 * measured and side >= LEAST_SIDE * k)
    return next(fitting, 1)


def tv(
    problem: Problem,
    weight: Tensor | None = None,
    *,
    start: Tensor | None = None,
    centre: Tensor | None = None,
    steps: int = 10,
) -> Tensor:
    r"""Least squares with total variation, ``R(x) = Σ |∇x|`` over both directions and all colours.

    λ is chosen among `LAMBDAS` by a tenth of the measurements, which the path does not see, and
    refined by a parabola; with it, all measurements are fitted. The error is squared whatever the
    noise.

    Args:
        problem: measurements (B, ...) by a linear operator.
        weight: mask, 1 for measurements that may be used, 0 for others; ``None`` uses all.
        start: images to start from, see `SparsePath.along`, made from measurements that may be used
            alone.
        centre: images c of `SparsePath`.
        steps: number of iterations for each of the 12 λ; the last fit has twice as many.

    Returns:
        Images (B, C, H, W) in [0, 1].

    Raises:
        InputError: if the operator is not linear.

    Reference: Rudin, Osher, Fatemi, Physica D 60 (1992).

    >>> from interlayer.problem import measure
    >>> x = torch.zeros(1, 3, 16, 16).index_fill_(3, torch.arange(8), 0.8)
    >>> bool((tv(measure(x, "inpaint:0.5", seed=0)) - x).abs().mean() < 0.02)
    True
    """
    return _judged(problem, weight, "tv", start, centre, steps)


def wavelet(
    problem: Problem,
    weight: Tensor | None = None,
    *,
    start: Tensor | None = None,
    centre: Tensor | None = None,
    steps: int = 10,
) -> Tensor:
    """Least squares as in `tv`, with the l1 norm of wavelet coefficients, see `Wavelets`.

    >>> from interlayer.problem import measure
    >>> x = torch.full((1, 3, 32, 32), 0.4)
    >>> x_hat = wavelet(measure(x, "denoise:0.2", seed=0))
    >>> bool((x_hat - x).square().mean() < 0.2 * 0.2**2)
    True
    """
    return _judged(problem, weight, "wavelet", start, centre, steps)


@torch.no_grad()
def _judged(
    problem: Problem,
    weight: Tensor | None,
    prior: str,
    start: Tensor | None,
    centre: Tensor | None,
    steps: int,
) -> Tensor:
    physics, y = problem.linear_physics, problem.y
    weight = _ones(problem) if weight is None else weight
    split = problem.split(physics.A_adjoint(y), HELD_OUT, [SEED] * len(y))
    fit = weight * split.fit
    first = first_picture(problem, fit) if start is None else start
    # λ falls, so that what is coarse comes first; but a clean picture is best kept, and it rises.
    pictured = start is not None or problem.known is not None or problem.small
    rises = pictured and centre is None and problem.noise.sigma == 0
    lambdas = LAMBDAS[::-1] if rises else LAMBDAS
    best, errors = Best(), list[Tensor]()
    for _, x in SparsePath(problem, fit, prior, centre, steps).along(lambdas, first):
        errors.append(measurement_loss(physics.A(x), y, weight * split.held))
        best.offer(errors[-1], x=x)
    lambda_ = refined(lambdas, torch.stack(errors)).reshape(-1, 1, 1, 1)
    # What was held out comes in as it would have at the start.
    x_hat = best["x"] if start is not None else best["x"] + first_picture(problem, weight) - first
    last = SparsePath(problem, weight, prior, centre, 2 * steps).along([lambda_], x_hat)
    return next(last)[1]


def refined(lambdas: Sequence[float], errors: Tensor) -> Tensor:
    """The λ (B,) of least error, interpolated by a parabola over the logarithms of those tried.

    Args:
        lambdas: at least three weights, each the same multiple of the one before.
        errors: errors (len(lambdas), B); the first or last λ is the result if its error is least.

    >>> refined([4.0, 2.0, 1.0], torch.tensor([[1.0, 3.0], [0.0, 2.0], [1.0, 1.0]]))
    tensor([2., 1.])
    """
    best = errors.nan_to_num(torch.inf).argmin(0)
    middle = best.clamp(1, len(lambdas) - 2)
    above, at, below = (errors.gather(0, middle[None] + step)[0] for step in (-1, 0, 1))
    vertex = ((above - below) / (above - 2 * at + below) / 2).nan_to_num().clamp(-0.5, 0.5)
    place = middle + torch.where(best == middle, vertex, best - middle)
    return lambdas[0] * (lambdas[1] / lambdas[0]) ** place


def first_picture(problem: Problem, weight: Tensor) -> Tensor:
    """The picture that measurements suggest without a prior, or grey where they suggest none."""
    if problem.known is not None:
        return interpolation(problem, weight)
    if problem.small:
        return bicubic(problem, weight)
    if problem.approximate and problem.depicts:
        return plain(problem, weight)
    return torch.full_like(problem.linear_physics.A_adjoint(problem.y), 0.5)


def _ones(problem: Problem) -> Tensor:
    return torch.ones(1, device=problem.y.device)
