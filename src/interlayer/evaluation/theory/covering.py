"""Numbers of small balls that cover the l1 ball (Maurey's method), the l2 ball, finite sets."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log_covering_l2_ball(k: int, radius: float, epsilon: float) -> float:
    r"""Upper bound of ``log N(ε, B_2^k(r))`` (Lemma 2).

    ``N <= (1 + 2 r / ε)^k``; exact where it is known, ``N = 1`` for ``ε >= r`` and ``ceil(r / ε)``
    for ``k = 1``.

    >>> round(math.exp(log_covering_l2_ball(1, radius=1.0, epsilon=0.3)))
    4
    """
    if epsilon >= radius:
        return 0.0
    if epsilon <= 0:
        return math.inf
    return math.log(math.ceil(radius / epsilon)) if k == 1 else k * math.log1p(2 * radius / epsilon)


def log_covering_l1_ball(p: int, radius: float, epsilon: float) -> float:
    r"""Upper bound of ``log N(ε, B_1^p(R))`` in l2 by Maurey's empirical method (Lemma 1).

    ``N <= (2 p + 1)^ceil(R² / ε²)``, the published bound, or that of the l2 ball around it where
    that is less, as it is for ``ε`` far below ``R / sqrt(p)``.

    >>> math.isclose(log_covering_l1_ball(1000, radius=1.0, epsilon=0.5), 4 * math.log(2001))
    True
    """
    if not 0 < epsilon < radius:
        return log_covering_l2_ball(p, radius, epsilon)
    maurey = math.ceil((radius / epsilon) ** 2) * math.log(2 * p + 1)
    return min(maurey, log_covering_l2_ball(p, radius, epsilon))


def width_l1_ball(p: int, radius: float) -> float:
    r"""Upper bound of the Gaussian width ``E sup_{u in B_1^p(R)} <g, u>`` (Lemma 5).

    ``R E max |g_i| <= R sqrt(2 log(2 p))``.

    >>> round(width_l1_ball(1000, radius=1.0), 2)
    3.9
    """
    return radius * math.sqrt(2 * math.log(2 * p))


def maurey_approximation(z: Tensor, s: int, rng: torch.Generator) -> Tensor:
    r"""A point with at most s non-zero entries within ``||z||_1 / sqrt(s)`` of z (Lemma 1).

    The mean of s draws of ``sign(z_i) ||z||_1 e_i``, i being drawn with probability ``|z_i| /
    ||z||_1``; drawn again until it is that near, which the lemma shows to happen. Its entries are
    multiples of ``||z||_1 / s``, so it takes ``s log2(2 p)`` bits and one number to store.

    Args:
        z: a vector of any shape, finite.
        s: number of terms, at least 1.
        rng: CPU source of randomness.

    Raises:
        ValueError: if s is less than 1 or z holds NaN or infinity.

    Reference: G. Pisier, Remarques sur un résultat non publié de B. Maurey, 1981.

    >>> z = torch.linspace(-1, 1, 1000)
    >>> sparse = maurey_approximation(z, 50, torch.Generator().manual_seed(0))
    >>> int(sparse.count_nonzero()) <= 50, bool((sparse - z).norm() <= z.abs().sum() / 50**0.5)
    (True, True)
    """
    if s < 1 or not z.isfinite().all():
        raise ValueError(f"Maurey's method takes finite vectors and at least 1 term, not {s}")
    flat = z.detach().flatten().double().cpu()
    ends = flat.abs().cumsum(0)
    radius = ends[-1]
    while True:
        drawn = torch.searchsorted(
            ends, radius * torch.rand(s, generator=rng, dtype=torch.float64), right=True
        )
        counts = torch.bincount(drawn.clamp_max(len(flat) - 1), minlength=len(flat))
        mean = flat.sign() * counts * (radius / s)
        if (mean - flat).norm() <= radius / math.sqrt(s):
            return mean.reshape(z.shape).to(z)


def separated_net(points: Tensor, epsilon: float) -> Tensor:
    r"""Indices of a maximal ε-separated subset of points (N, p), greedily from the first (Lemma 4).

    It is a packing (any two are more than ε apart) and a cover (every point is within ε of one), so
    that its size lies between ``N(ε)`` and ``M(ε)``, and ``M(2 ε) <= N(ε) <= M(ε)``.

    >>> separated_net(torch.arange(10.0)[:, None], epsilon=2.5)
    tensor([0, 3, 6, 9])
    """
    chosen: list[int] = []
    left = torch.ones(len(points), dtype=torch.bool, device=points.device)
    while left.any():
        chosen.append(int(left.float().argmax()))
        left &= (points - points[chosen[-1]]).norm(dim=1) > epsilon
    return torch.tensor(chosen)
