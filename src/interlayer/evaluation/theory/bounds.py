r"""Measurements that suffice, and the error that they leave: the theorem of the ILO paper.

The set that a method searches is ``S = G2(T)``, ``T = G1(B_2^k(r1)) ⊕ B_1^p(r2)``, with
``G1: R^k -> R^p`` L1-Lipschitz and ``G2: R^p -> R^n`` L2-Lipschitz; A (m, n) has independent
entries N(0, 1/m). ``docs/theory.md`` proves every bound here, with the same numbers and letters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from interlayer.evaluation.theory.covering import (
    log_covering_l1_ball,
    log_covering_l2_ball,
    width_l1_ball,
)

# A net of the range is tried at these fractions of the greatest spacing that the budget allows.
FRACTIONS = tuple(2.0**-i for i in range(10))


@dataclass(frozen=True)
class ExtendedRange:
    """The set ``S = G2(G1(B_2^k(r1)) ⊕ B_1^p(r2))`` that a method searches.

    Attributes:
        k: dimension of the latent code.
        r1: l2 radius of the codes.
        L1: Lipschitz constant of ``G1`` on them.
        p: dimension of the intermediate layer.
        r2: l1 radius of the deviation there; 0 for CSGM.
        L2: Lipschitz constant of ``G2``.

    Raises:
        ValueError: if a dimension is below 1 or a length negative or infinite.

    CSGM applied at the intermediate layer itself is CSGM with k replaced by p:

    >>> ExtendedRange.csgm(k=512, radius=30.0, lipschitz=2.0)
    ExtendedRange(k=512, r1=30.0, L1=2.0, p=1, r2=0.0, L2=1.0)
    """

    k: int
    r1: float
    L1: float
    p: int
    r2: float
    L2: float

    def __post_init__(self) -> None:
        lengths = (self.r1, self.L1, self.r2, self.L2)
        if min(self.k, self.p) < 1 or not all(0 <= length < math.inf for length in lengths):
            raise ValueError(f"dimensions are at least 1, lengths at least 0 and finite: {self}")

    @classmethod
    def csgm(cls, k: int, radius: float, lipschitz: float) -> ExtendedRange:
        """The plain range ``G(B_2^k(radius))``."""
        return cls(k=k, r1=radius, L1=lipschitz, p=1, r2=0.0, L2=1.0)

    @property
    def diameter(self) -> float:
        """An upper bound ``2 L2 (L1 r1 + r2)`` of the distance of two points."""
        return 2 * self.L2 * (self.L1 * self.r1 + self.r2)


def log_covering(searched: ExtendedRange, epsilon: float, share: float = 0.5) -> float:
    r"""Upper bound of ``log N(ε, S)`` of the extended range (Lemma 3).

    ``N(ε, G2(T)) <= N(ε / L2, T) <= N(a ε / (L1 L2), B_2^k(r1)) N((1 - a) ε / L2, B_1^p(r2))``
    with ``a = share`` in [0, 1].

    >>> searched = ExtendedRange.csgm(k=10, radius=1.0, lipschitz=1.0)
    >>> math.isclose(log_covering(searched, 0.1, share=1.0), 10 * math.log(21))
    True
    """
    reach = searched.L1 * searched.L2 * searched.r1
    return log_covering_l2_ball(searched.k, reach, share * epsilon) + log_covering_l1_ball(
        searched.p, searched.L2 * searched.r2, (1 - share) * epsilon
    )


def srec_log_failure(searched: ExtendedRange, m: int, delta: float, gamma: float = 0.5) -> float:
    r"""Upper bound of the log-probability that A lacks S-REC(S, γ, δ) (Theorem 9).

    S-REC: ``||A (x1 - x2)|| >= γ ||x1 - x2|| - δ`` for all x1, x2 in S. With ``τ = (1 - γ) / (1 +
    1 / sqrt(2))``, ``K = L2 r2 / δ`` and any ``α, β >= 0`` with

        ``4 τ (α + β) + 2 (α sqrt(k) + min(K sqrt(2 log 2p), β sqrt(p))) / sqrt(m) <= 1``

    it is at most ``log 5 + 2 log N - τ² m / 2``, where N counts the cells of two nets,
    ``N = N(α δ, B_2^k(L1 L2 r1)) N(β δ, B_1^p(L2 r2))``. The least over a few α is returned, at
    most 0.

    Raises:
        ValueError: unless ``0 < γ < 1``, ``δ > 0`` and ``m >= 1``.

    Reference: shape from Daras et al. (arXiv 2102.07364) and Bora et al. (arXiv 1703.03208), the
    constants are ours, by Gordon's comparison theorem (Israel J. Math. 50, 1985).

    >>> searched = ExtendedRange.csgm(k=10, radius=1.0, lipschitz=1.0)
    >>> srec_log_failure(searched, m=2000, delta=0.1) < -10
    True
    """
    if not (0 < gamma < 1 and delta > 0 and m >= 1):
        raise ValueError(f"S-REC needs 0 < γ < 1, δ > 0 and m >= 1, not {gamma}, {delta}, {m}")
    tau = (1 - gamma) / (1 + math.sqrt(0.5))
    K, root = searched.L2 * searched.r2 / delta, math.sqrt(m)
    tail = math.log(5) - tau**2 * m / 2
    largest = 1 / (4 * tau + 2 * math.sqrt(searched.k) / root)
    best = 0.0
    for alpha in (fraction * largest for fraction in FRACTIONS):
        left = 1 - alpha / largest
        beta = max(
            (left - 2 * width_l1_ball(searched.p, K) / root) / (4 * tau),
            left / (4 * tau + 2 * math.sqrt(searched.p) / root),
        )
        cells = log_covering_l2_ball(
            searched.k, searched.L1 * searched.L2 * searched.r1 / delta, alpha
        ) + log_covering_l1_ball(searched.p, K, beta)
        best = min(best, tail + 2 * cells)
    return best


def measurements_needed(
    searched: ExtendedRange, delta: float, gamma: float = 0.5, eta: float = 0.01
) -> int:
    r"""Gaussian measurements that give S-REC(S, γ, δ) with probability ``1 - η`` (Theorem 9).

    The least m with ``srec_log_failure <= log η``: ``O(k log(L1 L2 r1 / δ) + K² log p)`` with
    ``K = L2 r2 / δ``.

    Raises:
        ValueError: unless ``0 < η < 1``, or as `srec_log_failure`.

    >>> code, layer = ExtendedRange.csgm(10, 5.0, 1.0), ExtendedRange.csgm(4096, 20.0, 1.0)
    >>> ball = replace(code, p=4096, r2=0.1)
    >>> [measurements_needed(searched, delta=0.1) for searched in (code, ball, layer)]
    [2419, 4633, 1193249]
    """
    if not 0 < eta < 1:
        raise ValueError(f"a probability of failure lies between 0 and 1, not {eta}")

    def enough(m: int) -> bool:
        return srec_log_failure(searched, m, delta, gamma) <= math.log(eta)

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def smallest_delta(searched: ExtendedRange, m: int, gamma: float = 0.5, eta: float = 0.01) -> float:
    """The least δ for which m Gaussian measurements give S-REC(S, γ, δ), by bisection.

    At most ``γ * diameter``, for which any A does; to a relative 1e-6.

    >>> searched = ExtendedRange.csgm(10, 5.0, 1.0)
    >>> smallest_delta(searched, measurements_needed(searched, delta=0.1))
    0.099...
    """
    high = gamma * searched.diameter
    low = 1e-12 * high
    while high > low * (1 + 1e-6):
        middle = math.sqrt(low * high)
        enough = srec_log_failure(searched, m, middle, gamma) <= math.log(eta)
        low, high = (low, middle) if enough else (middle, high)
    return high


def recovery_error(
    best: float,
    delta: float,
    gamma: float = 0.5,
    *,
    gain: float = 1.0,
    noise: float = 0.0,
    slack: float = 0.0,
) -> float:
    r"""Bound of ``||x - x̂||`` for the measurement optimum x̂ over S under S-REC (Theorem 10).

    ``(1 + 2 c / γ) min_{s in S} ||x - s|| + (δ + 2 ||noise|| + slack) / γ``.

    Args:
        best: the least distance of x to S, attained at x̄.
        delta: ``δ`` of S-REC(S, γ, δ).
        gamma: ``γ`` of S-REC(S, γ, δ).
        gain: ``c``, at least ``||A (x - x̄)|| / ||x - x̄||``.
        noise: l2 norm of ``y - A x``.
        slack: excess of the measurement error of x̂ over the least one in S.

    >>> recovery_error(best=1.0, delta=0.1)
    5.2
    """
    return (1 + 2 * gain / gamma) * best + (delta + 2 * noise + slack) / gamma


def error_bound(
    searched: ExtendedRange,
    m: int,
    best: float,
    gamma: float = 0.5,
    eta: float = 0.01,
    *,
    noise: float = 0.0,
) -> float:
    r"""Bound of the error ``||x - x̂||`` that m Gaussian measurements leave (Theorem 11).

    With probability ``1 - η``. It is `recovery_error` at the least δ that m gives with probability
    ``1 - η / 2``; with the same probability ``x - x̄``, which does not depend on A, is lengthened by
    at most ``1 + sqrt(2 log(2 / η) / m)``.

    >>> code, layer = ExtendedRange.csgm(10, 5.0, 1.0), ExtendedRange.csgm(4096, 20.0, 1.0)
    >>> ball = replace(code, p=4096, r2=0.1)
    >>> bests = {code: 0.1, ball: 0.01, layer: 0.0}
    >>> [round(error_bound(searched, 4000, best), 2) for searched, best in bests.items()]
    [0.53, 0.31, 40.0]
    """
    gain = 1 + math.sqrt(2 * math.log(2 / eta) / m)
    delta = smallest_delta(searched, m, gamma, eta / 2)
    return recovery_error(best, delta, gamma, gain=gain, noise=noise)


@dataclass(frozen=True)
class Choice:
    """A radius with its ``K = L2 r2 / δ`` and the error bound that it gives."""

    r2: float
    K: float
    bound: float


def best_radius(
    searched: ExtendedRange,
    m: int,
    best: Callable[[float], float],
    radii: Sequence[float],
    gamma: float = 0.5,
    eta: float = 0.01,
) -> Choice:
    """The l1 radius among ``radii``, hence the K, that minimises `error_bound` at m measurements.

    Args:
        searched: the set, whose ``r2`` is replaced.
        m: number of measurements.
        best: the least distance of the image to S as a function of ``r2``, non-increasing.
        radii: candidates, at least one.
        gamma: ``γ`` of S-REC.
        eta: probability of failure.

    >>> code = ExtendedRange(k=10, r1=5.0, L1=1.0, p=4096, r2=0.0, L2=1.0)
    >>> distance = lambda r2: 0.3 / (1 + 10 * r2)
    >>> [best_radius(code, m, distance, (0.0, 0.1, 0.2, 0.4)).r2 for m in (4000, 100_000)]
    [0.2, 0.4]
    """
    choices = []
    for r2 in radii:
        candidate = replace(searched, r2=r2)
        delta = smallest_delta(candidate, m, gamma, eta / 2)
        bound = error_bound(candidate, m, best(r2), gamma, eta)
        choices.append(Choice(r2, searched.L2 * r2 / delta if r2 else 0.0, bound))
    return min(choices, key=lambda choice: choice.bound)
