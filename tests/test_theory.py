"""Each bound of docs/theory.md against a case where it is known or can be drawn.

Names that end in ``half_…_would_be_false`` are of checks that a statement twice as strong would
not pass.
"""

import importlib.util
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from interlayer.evaluation.theory import (
    ExtendedRange,
    best_radius,
    error_bound,
    log_covering,
    log_covering_l1_ball,
    log_covering_l2_ball,
    maurey_approximation,
    measurements_needed,
    recovery_error,
    separated_net,
    smallest_delta,
    srec_log_failure,
    width_l1_ball,
)
from interlayer.solver.projections import project_l1_ball


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "theory_figures.py"
    spec = importlib.util.spec_from_file_location("bench_theory", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def points_of_l1_ball(count: int, p: int, radius: float = 1.0) -> Tensor:
    """The ball, boundary included, and the middles of its faces."""
    faces = [torch.tensor(s) / sum(map(abs, s)) for s in itertools.product((-1, 0, 1), repeat=p)]
    drawn = project_l1_ball(2 * torch.randn(count, p, generator=rng()), 1.0)
    return radius * torch.cat([drawn, torch.stack(faces).nan_to_num()])


def maurey_net(p: int, s: int) -> Tensor:
    """Every mean of s of the points ``0, ±e_i``."""
    vertices = torch.cat([torch.zeros(1, p), torch.eye(p), -torch.eye(p)])
    chosen = itertools.combinations_with_replacement(range(len(vertices)), s)
    return torch.stack([vertices[list(c)].mean(0) for c in chosen])


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("s", [1, 2, 3, 4])
def test_lemma_1_the_net_of_means_covers_the_ball_and_is_as_small_as_stated(p: int, s: int):
    net = maurey_net(p, s)
    farthest = torch.cdist(points_of_l1_ball(4000, p), net).min(1).values.max().item()
    assert farthest <= 1 / math.sqrt(s) + 1e-6
    assert len(net) <= (2 * p + 1) ** s


def test_lemma_1_half_the_distance_would_be_false():
    farthest = torch.cdist(points_of_l1_ball(4000, 3), maurey_net(3, 1)).min(1).values.max()
    assert farthest > 0.7


@pytest.mark.parametrize("epsilon", [0.15, 0.3, 0.45, 0.7, 1.0])
def test_lemmas_1_and_2_bound_known_covering_numbers(epsilon: float):
    interval = math.ceil(1 / epsilon)
    for covering in (log_covering_l1_ball, log_covering_l2_ball):
        assert math.exp(covering(1, 1.0, epsilon)) == pytest.approx(interval)
    # Any cover has as many balls as a packing at twice the distance has points (Lemma 4).
    for p in (2, 3):
        points = points_of_l1_ball(3000, p)
        assert len(separated_net(points, 2 * epsilon)) <= math.exp(
            log_covering_l1_ball(p, 1.0, epsilon)
        )


def test_lemma_2_half_the_exponent_would_be_false():
    sphere = torch.randn(20_000, 4, generator=rng())
    ball = sphere / sphere.norm(dim=1, keepdim=True)
    packing = math.log(len(separated_net(ball, 0.6)))
    assert log_covering_l2_ball(4, 1.0, 0.3) / 2 < packing <= log_covering_l2_ball(4, 1.0, 0.3)


def test_lemma_1_half_the_exponent_would_be_false():
    # At ε just below R / sqrt(2) the 2 p vertices need a ball each, so log N >= log 2 p.
    p, epsilon = 50, 0.7071
    vertices = torch.cat([torch.eye(p), -torch.eye(p)])
    assert len(separated_net(vertices, 2 * epsilon - 1e-6)) == 2 * p
    assert math.log(2 * p) <= log_covering_l1_ball(p, 1.0, epsilon) <= 3.1 * math.log(2 * p)


def test_the_published_bound_is_used_where_it_is_the_smaller_one():
    published = 25 * math.log(2 * 10**6 + 1)
    assert log_covering_l1_ball(10**6, 2.0, 0.4) == pytest.approx(published)
    fine = log_covering_l1_ball(20, 1.0, 0.01)
    assert fine == log_covering_l2_ball(20, 1.0, 0.01) < 10**4 * math.log(41)


def test_lemma_3_covers_a_lipschitz_image_of_an_extended_range():
    # k = 1, p = 2: a bent curve, thickened by a small l1 ball and stretched twofold.
    searched = ExtendedRange(k=1, r1=1.0, L1=3.0, p=2, r2=0.2, L2=2.0)
    codes = torch.linspace(-1, 1, 400)[:, None]
    curve = torch.cat([3 * codes.abs(), torch.zeros_like(codes)], 1)
    points = 2 * (curve[:, None] + points_of_l1_ball(40, 2, 0.2)).flatten(0, 1)
    for epsilon in (0.3, 0.6, 1.5):
        packing = math.log(len(separated_net(points, 2 * epsilon)))
        assert packing <= log_covering(searched, epsilon)
    plain = ExtendedRange.csgm(k=1, radius=1.0, lipschitz=1.0)
    assert math.exp(log_covering(plain, 0.25, share=1.0)) == pytest.approx(4)


@pytest.mark.parametrize("epsilon", [0.1, 0.25])
def test_lemma_4_a_separated_net_packs_and_covers(epsilon: float):
    points = torch.rand(2000, 2, generator=rng())
    net = points[separated_net(points, epsilon)]
    apart = torch.cdist(net, net).fill_diagonal_(math.inf).min()
    assert apart > epsilon
    assert torch.cdist(points, net).min(1).values.max() <= epsilon
    assert len(separated_net(points, 2 * epsilon)) <= len(net)


def test_lemma_5_bounds_the_width_and_half_would_be_false():
    for p in (10, 1000):
        width = 3 * torch.randn(4000, p, generator=rng()).abs().amax(1).mean()
        assert width_l1_ball(p, 3.0) / 2 < width <= width_l1_ball(p, 3.0)


def test_lemma_6_a_lipschitz_map_does_not_widen_a_set():
    p, n = 20, 60
    W = torch.linalg.qr(torch.randn(n, p, generator=rng())).Q
    ball = points_of_l1_ball(1, 6)
    ball = torch.cat([ball, torch.zeros(len(ball), p - 6)], 1)
    g, h = torch.randn(p, 3000, generator=rng(1)), torch.randn(n, 3000, generator=rng(2))

    def width(points: Tensor, g: Tensor) -> Tensor:
        return (points @ g).amax(0).mean()

    assert width((ball @ W.T).relu(), h) <= width(ball, g)
    # An isometry keeps the width, so that half of it would be false.
    assert width(ball @ W.T, h) == pytest.approx(width(ball, g).item(), rel=0.05)


def test_lemma_7_tails_of_a_gaussian_norm():
    for m, theta in ((20, 0.5), (400, 0.8)):
        half = torch.tensor(m / 2, dtype=torch.float64)
        shorter = torch.special.gammainc(half, theta**2 * half).item()
        assert math.exp(-2 * m * (1 - theta) ** 2) < shorter < math.exp(-m * (1 - theta) ** 2)
        longer = torch.special.gammaincc(half, (2 - theta) ** 2 * half).item()
        rate = m * (1 - theta) ** 2 / 2
        assert longer < math.exp(-rate)
    # Twice that exponent would be false: for m = 1 it is the tail of one Gaussian.
    one = torch.special.gammaincc(torch.tensor(0.5), torch.tensor(25 / 2)).item()
    assert math.exp(-2 * 16 / 2) < one < math.exp(-16 / 2)


def test_lemma_8_gordons_bound_of_the_least_gain_and_half_the_loss_would_be_false():
    m, k = 100, 25
    gains = torch.linalg.svdvals(torch.randn(300, m, k, generator=rng())).amin(1)
    assert math.sqrt(m) - math.sqrt(k) < gains.mean() + 0.1
    assert gains.mean() < math.sqrt(m) - math.sqrt(k) / 2


def least_slack(A: Tensor, x: Tensor, gamma: float) -> float:
    """``min ||A d|| - γ ||d||`` over the secants d of points (N, n)."""
    slack = torch.cdist(x @ A.T, x @ A.T) - gamma * torch.cdist(x, x)
    return slack.fill_diagonal_(math.inf).min().item()


def test_theorem_9_as_many_measurements_give_the_s_rec():
    searched = ExtendedRange(k=1, r1=1.0, L1=1.0, p=3, r2=0.1, L2=1.0)
    codes = torch.linspace(-1, 1, 12)[:, None, None] * torch.eye(3)[0]
    points = (codes.relu() + points_of_l1_ball(5, 3, 0.1)).flatten(0, 1)
    delta, draw = 0.1, rng(3)

    def failures(m: int, draws: int) -> float:
        slacks = [
            least_slack(torch.randn(m, 3, generator=draw) / m**0.5, points, 0.5)
            for _ in range(draws)
        ]
        return sum(slack < -delta for slack in slacks) / draws

    assert failures(measurements_needed(searched, delta, eta=0.05), draws=20) <= 0.05
    assert failures(1, draws=50) > 0.05


def test_theorem_9_needs_as_many_measurements_as_dimensions():
    searched = ExtendedRange.csgm(k=20, radius=1.0, lipschitz=1.0)
    delta = 0.01
    assert measurements_needed(searched, delta) > 20
    # With fewer than k, A has a null vector z within the ball, and no S-REC below γ 2 ||z||.
    A = torch.randn(19, 20, generator=rng())
    z = torch.linalg.svd(A).Vh[-1]
    assert (A @ (2 * z)).norm() < 0.5 * (2 * z).norm() - delta


def test_theorem_9_grows_as_stated():
    code = ExtendedRange(k=10, r1=5.0, L1=1.0, p=10**7, r2=0.0, L2=1.0)

    def needed(**changes: float) -> int:
        return measurements_needed(replace(code, **changes), delta=0.1)

    assert needed(k=400) == pytest.approx(2 * needed(k=200), rel=0.05)
    assert needed(L1=1e8) - needed(L1=1e4) == pytest.approx(needed(L1=1e12) - needed(L1=1e8), 0.05)
    balls = [needed(r2=0.1 * K) for K in (20, 40)]
    assert balls[1] == pytest.approx(4 * balls[0], rel=0.1)
    wide = [needed(r2=2.0, p=p) for p in (10**7, 10**14)]
    assert 1.8 < wide[1] / wide[0] < 2


def test_a_small_ball_is_cheaper_than_the_layer():
    code = ExtendedRange(k=512, r1=22.0, L1=2.0, p=131_072, r2=0.02, L2=1.0)
    layer = ExtendedRange.csgm(131_072, radius=44.0, lipschitz=1.0)
    ball, whole, plain = (
        measurements_needed(searched, delta=0.02)
        for searched in (code, layer, replace(code, r2=0.0))
    )
    assert plain < ball < 1.2 * plain < whole / 100


def test_units_do_not_matter():
    searched = ExtendedRange(k=10, r1=5.0, L1=2.0, p=1000, r2=0.3, L2=1.5)
    needed = measurements_needed(searched, delta=0.1)
    codes = replace(searched, r1=50.0, L1=0.2)
    layer = replace(searched, L1=20.0, r2=3.0, L2=0.15)
    image = replace(searched, L2=15.0)
    assert measurements_needed(codes, delta=0.1) == needed
    assert measurements_needed(layer, delta=0.1) == pytest.approx(needed, abs=1)
    assert measurements_needed(image, delta=1.0) == pytest.approx(needed, abs=1)


def test_least_m_and_least_delta_invert_each_other():
    searched = ExtendedRange(k=10, r1=5.0, L1=1.0, p=1000, r2=0.3, L2=1.0)
    m = measurements_needed(searched, 0.1)
    assert srec_log_failure(searched, m, 0.1) <= math.log(0.01)
    assert srec_log_failure(searched, m - 1, 0.1) > math.log(0.01)
    assert smallest_delta(searched, m) <= 0.1 < smallest_delta(searched, m - 20)
    assert smallest_delta(searched, 1) == pytest.approx(0.5 * searched.diameter)


def test_theorem_10_holds_with_the_constants_that_a_matrix_has():
    W = torch.randn(30, 5, generator=rng())
    points = points_of_l1_ball(300, 5) @ W.T
    for seed in range(20):
        draw = rng(seed)
        A = torch.randn(12, 30, generator=draw) / 12**0.5
        x = points[seed] + 0.3 * torch.randn(30, generator=draw)
        noise = 0.1 * torch.randn(12, generator=draw)
        delta = max(0.0, -least_slack(A, points, 0.5))
        nearest = points[(points - x).norm(dim=1).argmin()]
        found = points[(points @ A.T - (A @ x + noise)).norm(dim=1).argmin()]
        best = (x - nearest).norm()
        bound = recovery_error(
            best.item(), delta, gain=float((A @ (x - nearest)).norm() / best),
            noise=noise.norm().item(),
        )  # fmt: skip
        assert (x - found).norm() <= bound


@pytest.mark.parametrize("delta", [0.0, 3.0])
def test_theorem_10_half_the_bound_would_be_false(delta: float):
    # S = {0, s}; one measurement cannot tell x from s, as 2 c ||x|| = γ ||s|| - δ.
    gamma, c, best = 0.5, 1.0, 1.0
    A = torch.tensor([[gamma - delta / ((2 * c * best + delta) / gamma), c]])
    x, s = torch.tensor([0.0, best]), torch.tensor([(2 * c * best + delta) / gamma, 0.0])
    assert (A @ s).norm() == pytest.approx(gamma * s.norm().item() - delta)
    assert (A @ (x - s)).norm() <= (A @ x).norm() + 1e-6
    bound = recovery_error(best, delta, gamma, gain=c)
    assert bound / 2 < (x - s).norm() <= bound


def test_theorem_11_crosses_over_as_the_paper_says():
    code = ExtendedRange(k=10, r1=5.0, L1=1.0, p=4096, r2=0.0, L2=1.0)
    ball, layer = replace(code, r2=0.2), ExtendedRange.csgm(4096, 20.0, 1.0)
    few, many = 4000, 10**7
    assert error_bound(ball, few, 0.0) < error_bound(code, few, 0.2) < error_bound(layer, few, 0.0)
    assert error_bound(layer, many, 0.0) < error_bound(code, many, 0.2)
    assert error_bound(replace(code, r2=4.0), few, 0.0) > error_bound(code, few, 0.2)
    assert error_bound(code, few, 0.2, noise=0.1) == pytest.approx(
        error_bound(code, few, 0.2) + 0.4
    )


def test_the_best_radius_grows_with_the_measurements():
    code = ExtendedRange(k=10, r1=5.0, L1=1.0, p=4096, r2=0.0, L2=1.0)
    radii = [0.0, 0.05, 0.1, 0.2, 0.4]
    choices = [
        best_radius(code, m, lambda r: 0.3 / (1 + 10 * r), radii) for m in (500, 4000, 10**5)
    ]
    assert choices[0].r2 <= choices[1].r2 < choices[2].r2
    for m, choice in zip((500, 4000, 10**5), choices, strict=True):
        bounds = [error_bound(replace(code, r2=r), m, 0.3 / (1 + 10 * r)) for r in radii]
        assert choice.bound == min(bounds)
        delta = smallest_delta(replace(code, r2=choice.r2), m, eta=0.005)
        assert choice.K == pytest.approx(choice.r2 / delta)


def test_measured_errors_have_the_order_that_the_theorem_predicts(bench: ModuleType):
    problems = bench.random_problems(range(20))
    errors = {m: bench.optimum_errors(problems, m, seed=m) for m in {o[0] for o in bench.ORDERINGS}}
    for m, better, worse in bench.ORDERINGS:
        assert (errors[m][better] < errors[m][worse]).sum() >= 19, (m, better, worse)


def test_projecting_rows_is_projecting_each(bench: ModuleType):
    u, radii = torch.randn(5, 7, generator=rng()), torch.tensor([0.0, 0.5, 1.0, 3.0, 100.0])
    each = [project_l1_ball(row[None], r.item())[0] for row, r in zip(u, radii, strict=True)]
    torch.testing.assert_close(bench.project_rows(u, radii), torch.stack(each))


@pytest.mark.parametrize("s", [1, 10, 1000])
@pytest.mark.parametrize("flat", [False, True])
def test_maureys_approximation_is_near_and_sparse(s: int, flat: bool):
    z = torch.ones(20, 15) if flat else torch.randn(20, 15, generator=rng()) ** 3
    near = maurey_approximation(z, s, rng())
    assert near.shape == z.shape and near.count_nonzero() <= s
    assert near.abs().sum() <= z.abs().sum() * (1 + 1e-6)
    assert (near - z).norm() <= z.abs().sum() / s**0.5
    assert torch.equal(near, maurey_approximation(z, s, rng()))


def test_maureys_approximation_is_unbiased_and_half_the_distance_would_be_false():
    z = torch.ones(400)
    draws = torch.stack([maurey_approximation(z, 20, rng(seed)) for seed in range(500)])
    assert (draws - z).norm(dim=1).mean() > 400 / 20**0.5 / 2
    spread = 400 / 20 * (20 / 400) ** 0.5  # of one entry of one draw
    assert (draws.mean(0) - z).abs().max() < 5 * spread / 500**0.5
    assert maurey_approximation(torch.zeros(3), 2, rng()).eq(0).all()
    for bad, s in ((torch.tensor([math.nan]), 1), (z, 0)):
        with pytest.raises(ValueError, match="finite"):
            maurey_approximation(bad, s, rng())


@pytest.mark.parametrize(
    "call",
    [
        lambda: ExtendedRange.csgm(0, 1.0, 1.0),
        lambda: ExtendedRange.csgm(1, math.inf, 1.0),
        lambda: ExtendedRange.csgm(1, math.nan, 1.0),
        lambda: measurements_needed(ExtendedRange.csgm(1, 1.0, 1.0), delta=0.0),
        lambda: measurements_needed(ExtendedRange.csgm(1, 1.0, 1.0), delta=0.1, gamma=1.0),
        lambda: measurements_needed(ExtendedRange.csgm(1, 1.0, 1.0), delta=0.1, eta=0.0),
    ],
)
def test_impossible_settings_are_refused(call: Callable[[], object]):
    with pytest.raises(ValueError):
        call()
