"""Least squares with a sparsity prior, whose weight is chosen from held-out measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from interlayer.methods.classical.filling import bicubic, interpolation, plain
from interlayer.methods.classical.priors import PRIORS
from interlayer.problem.fidelity import measurement_loss
from interlayer.problem.holdout import Best
from interlayer.problem.problem import Problem

LAMBDAS = tuple(2.0**-k for k in range(12))
HELD_OUT, SEED = 0.1, 0
POWER_STEPS = 10


class SparsePath:
    r"""Estimates along a path of weights λ of a sparsity prior, each starting from the one before.

    ``argmin_x ||W (A x - y)||² / (2 ||A||²) + λ R(x - c)`` by FISTA, whose momentum is dropped
    where it points uphill. λ is in units of the image whatever the operator: with ``A = I`` it is
    a denoiser's threshold.

    Args:
        problem: measurements (B, ...) by a linear operator.
        weight: mask W, 0 or 1, broadcastable to y; ``None`` uses all measurements.
        prior: name of R, "tv" or "wavelet".
        centre: images c (B, C, H, W), the deviation from which is regularised; ``None`` is 0.
        steps: number of iterations for each λ.

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

    def __init__(
        self,
        problem: Problem,
        weight: Tensor | None,
        prior: str,
        centre: Tensor | None = None,
        steps: int = 10,
    ) -> None:
        self.problem, self.physics = problem, problem.linear_physics
        self.weight = _ones(problem) if weight is None else weight
        self.prior, self.centre, self.steps = prior, centre, steps

    @torch.no_grad()
    def along(
        self, lambdas: Iterable[float | Tensor], start: Tensor | None = None
    ) -> Iterator[tuple[float | Tensor, Tensor]]:
        """Yield each λ and its estimates (B, C, H, W) in [0, 1].

        Args:
            lambdas: weights above 0, usually descending; a tensor (B, 1, 1, 1) has one per image.
            start: images (B, C, H, W) to start from; ``None`` is an interpolation, or else grey.
        """
        x = before = first_picture(self.problem, self.weight) if start is None else start
        centre = torch.zeros_like(x) if self.centre is None else self.centre
        prox, norm = PRIORS[self.prior](), self._squared_norm(x)
        kept = max(1, self.steps // 2) if prox.noisy else 1
        momentum = x.new_ones(len(x), 1, 1, 1)
        for lambda_ in lambdas:
            total = torch.zeros_like(x)
            for step in range(self.steps):
                following = (1 + (1 + 4 * momentum**2).sqrt()) / 2
                ahead = x + (momentum - 1) / following * (x - before)
                residual = self.weight * (self.physics.A(ahead) - self.problem.y)
                slope = self.physics.A_adjoint(residual) / norm
                before, x = x, centre + prox(ahead - slope - centre, lambda_)
                uphill = ((ahead - x) * (x - before)).sum((1, 2, 3), keepdim=True) > 0
                momentum = following.masked_fill(uphill, 1)
                if step >= self.steps - kept:
                    total += x
            yield lambda_, (total / kept).clamp(0, 1)

    def _squared_norm(self, like: Tensor) -> Tensor:
        """Squared norm ``||A||²`` by the power method.

        It comes out a little low, which does no harm: FISTA stands steps up to a third too long.
        """
        rng = torch.Generator().manual_seed(SEED)
        v = torch.randn(like[:1].shape, generator=rng).to(like)
        for _ in range(POWER_STEPS):
            v = self.physics.A_adjoint(self.physics.A(v / v.norm()))
        return v.norm()


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
