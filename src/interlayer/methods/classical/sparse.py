"""Least squares with a sparsity prior, whose weight is chosen from held-out measurements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from deepinv.physics import Inpainting, LinearPhysics, Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.methods.classical.denoising import noise_level
from interlayer.methods.classical.filling import bicubic, interpolation
from interlayer.methods.classical.priors import PRIORS
from interlayer.problem import BicubicDownsampling, BlockAverage
from interlayer.problem.fidelity import measurement_loss
from interlayer.problem.holdout import Best, split_measurements

LAMBDAS = tuple(2.0**-k for k in range(12))
HELD_OUT, SEED = 0.1, 0
POWER_STEPS = 10
PIXELS, SMALL = (Inpainting,), (BicubicDownsampling, BlockAverage)


@torch.no_grad()
def path(
    physics: Physics,
    y: Tensor,
    weight: Tensor | None,
    prior: str,
    lambdas: Iterable[float | Tensor] = LAMBDAS,
    start: Tensor | None = None,
    *,
    centre: Tensor | None = None,
    steps: int = 10,
) -> Iterator[tuple[float | Tensor, Tensor]]:
    r"""Estimates for one weight λ of the prior after another, each starting from the one before.

    ``argmin_x ||W (A x - y)||² / (2 ||A||²) + λ R(x - c)`` by FISTA, whose momentum is dropped
    where it points uphill. λ is in units of the image whatever the operator: with ``A = I`` it is
    a denoiser's threshold.

    Args:
        physics: a linear operator.
        y: measurements (B, ...).
        weight: W, 0 or 1, broadcastable to y; ``None`` uses all measurements.
        prior: R, "tv" or "wavelet".
        lambdas: weights above 0, usually descending; a tensor (B, 1, 1, 1) has one per image.
        start: images (B, C, H, W) to start from; ``None`` is an interpolation, or else grey.
        centre: c, estimates (B, C, H, W) whose deviation is regularised; ``None`` is 0.
        steps: iterations for each λ.

    Yields:
        Each λ and its estimates (B, C, H, W) in [0, 1].

    Raises:
        InputError: if the operator is not linear.

    Reference: Beck and Teboulle, SIAM J. Imaging Sci. 2 (2009); O'Donoghue and Candès, Adaptive
    restart, arXiv 1204.3982.

    >>> from deepinv.physics import Denoising
    >>> y = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    >>> [round(x[0, 0, 0, 0].item(), 3) for _, x in path(Denoising(), y, None, "tv", [0.5, 0.25])]
    [0.25, 0.125]
    """
    physics = linear(physics)
    weight = _ones(y) if weight is None else weight
    x = before = _start(physics, y, weight) if start is None else start
    centre = torch.zeros_like(x) if centre is None else centre
    prox, norm = PRIORS[prior](), _squared_norm(physics, x)
    kept = max(1, steps // 2) if prox.noisy else 1
    momentum = x.new_ones(len(x), 1, 1, 1)
    for lambda_ in lambdas:
        total = torch.zeros_like(x)
        for step in range(steps):
            following = (1 + (1 + 4 * momentum**2).sqrt()) / 2
            ahead = x + (momentum - 1) / following * (x - before)
            slope = physics.A_adjoint(weight * (physics.A(ahead) - y)) / norm
            before, x = x, centre + prox(ahead - slope - centre, lambda_)
            uphill = ((ahead - x) * (x - before)).sum((1, 2, 3), keepdim=True) > 0
            momentum = following.masked_fill(uphill, 1)
            if step >= steps - kept:
                total += x
        yield lambda_, (total / kept).clamp(0, 1)


def tv(
    physics: Physics,
    y: Tensor,
    weight: Tensor | None = None,
    *,
    start: Tensor | None = None,
    centre: Tensor | None = None,
    steps: int = 10,
) -> Tensor:
    r"""Least squares with total variation, ``R(x) = Σ |∇x|`` over both directions and all colours.

    λ is chosen among `LAMBDAS` by a tenth of the measurements, which the `path` does not see, and
    refined by a parabola; with it, all measurements are fitted. The error is squared for any noise.

    Args:
        physics: a linear operator.
        y: measurements (B, ...).
        weight: 1 for measurements that may be used, 0 for others; ``None`` uses all.
        start: see `path`; must come from measurements that may be used alone.
        centre: see `path`.
        steps: iterations for each λ, of which there are 12; twice as many for the last fit.

    Returns:
        Images (B, C, H, W) in [0, 1].

    Raises:
        InputError: if the operator is not linear.

    Reference: Rudin, Osher, Fatemi, Physica D 60 (1992).

    >>> from interlayer.problem.tasks import make_physics
    >>> physics = make_physics("inpaint:0.5", (3, 16, 16))
    >>> x = torch.zeros(1, 3, 16, 16).index_fill_(3, torch.arange(8), 0.8)
    >>> bool((tv(physics, physics(x)) - x).abs().mean() < 0.02)
    True
    """
    return _judged(physics, y, weight, "tv", start, centre, steps)


def wavelet(
    physics: Physics,
    y: Tensor,
    weight: Tensor | None = None,
    *,
    start: Tensor | None = None,
    centre: Tensor | None = None,
    steps: int = 10,
) -> Tensor:
    """The same as `tv` with the l1 norm of wavelet coefficients, see `Wavelets`.

    >>> from interlayer.problem.tasks import make_physics
    >>> physics = make_physics("denoise:0.2", (3, 32, 32))
    >>> x = torch.full((1, 3, 32, 32), 0.4)
    >>> bool((wavelet(physics, physics(x)) - x).square().mean() < 0.2 * 0.2**2)
    True
    """
    return _judged(physics, y, weight, "wavelet", start, centre, steps)


@torch.no_grad()
def _judged(
    physics: Physics,
    y: Tensor,
    weight: Tensor | None,
    prior: str,
    start: Tensor | None,
    centre: Tensor | None,
    steps: int,
) -> Tensor:
    """See `tv`."""
    physics = linear(physics)
    weight = _ones(y) if weight is None else weight
    split = split_measurements(physics, y, physics.A_adjoint(y), HELD_OUT, [SEED] * len(y))
    fit = weight * split.fit
    first = _start(physics, y, fit) if start is None else start
    # λ falls, so that what is coarse comes first; but a clean picture is best kept, and it rises.
    pictured = start is not None or isinstance(physics, PIXELS + SMALL)
    rises = pictured and centre is None and noise_level(physics, y) == 0
    lambdas = LAMBDAS[::-1] if rises else LAMBDAS
    best, errors = Best(), list[Tensor]()
    for _, x in path(physics, y, fit, prior, lambdas, first, centre=centre, steps=steps):
        errors.append(measurement_loss(physics.A(x), y, weight * split.held))
        best.offer(errors[-1], x=x)
    lambda_ = refined(lambdas, torch.stack(errors)).reshape(-1, 1, 1, 1)
    # What was held out comes in as it would have at the start.
    x_hat = best["x"] if start is not None else best["x"] + _start(physics, y, weight) - first
    last = path(physics, y, weight, prior, [lambda_], x_hat, centre=centre, steps=2 * steps)
    return next(last)[1]


def refined(lambdas: Sequence[float], errors: Tensor) -> Tensor:
    """The λ (B,) of least error, between those tried: of a parabola's vertex over their logarithms.

    Args:
        lambdas: at least three, each the same multiple of the one before.
        errors: (len(lambdas), B); of the first or last λ if an error is least there.

    >>> refined([4.0, 2.0, 1.0], torch.tensor([[1.0, 3.0], [0.0, 2.0], [1.0, 1.0]]))
    tensor([2., 1.])
    """
    best = errors.nan_to_num(torch.inf).argmin(0)
    middle = best.clamp(1, len(lambdas) - 2)
    above, at, below = (errors.gather(0, middle[None] + step)[0] for step in (-1, 0, 1))
    vertex = ((above - below) / (above - 2 * at + below) / 2).nan_to_num().clamp(-0.5, 0.5)
    place = middle + torch.where(best == middle, vertex, best - middle)
    return lambdas[0] * (lambdas[1] / lambdas[0]) ** place


def linear(physics: Physics) -> LinearPhysics:
    """The operator itself, which has to be linear.

    Raises:
        InputError: if it is not.
    """
    if not isinstance(physics, LinearPhysics):
        raise InputError(
            "tv, wavelet and dip need a linear operator, which this one is not; "
            "use a method with a generator"
        )
    return physics


def _ones(y: Tensor) -> Tensor:
    return torch.ones(1, device=y.device)


def _start(physics: LinearPhysics, y: Tensor, weight: Tensor) -> Tensor:
    """The picture that measurements suggest without any prior, or grey where they suggest none."""
    if isinstance(physics, PIXELS):
        return interpolation(physics, y, weight)
    if isinstance(physics, SMALL):
        return bicubic(physics, y, weight)
    return torch.full_like(physics.A_adjoint(y), 0.5)


def _squared_norm(physics: LinearPhysics, like: Tensor) -> Tensor:
    """``||A||²`` by the power method.

    It comes out a little low, which does no harm: FISTA stands steps up to a third too long.
    """
    rng = torch.Generator().manual_seed(SEED)
    v = torch.randn(like[:1].shape, generator=rng).to(like)
    for _ in range(POWER_STEPS):
        v = physics.A_adjoint(physics.A(v / v.norm()))
    return v.norm()
