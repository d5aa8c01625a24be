"""Identities that every operator has, and what is special to each."""

import copy

import pytest
import torch
import torch.nn.functional as F
from deepinv.physics import BlurFFT, LinearPhysics

from interlayer import make_physics
from interlayer.problem import (
    JPEG,
    BicubicDownsampling,
    BicubicEnlargement,
    BlockAverage,
    Differentiable,
    GaussianMatrix,
    Magnitudes,
    PartialCirculant,
    chain,
    gaussian_kernel,
    motion_kernel,
)

SIZE, LARGE = (3, 8, 8), (3, 16, 16)
LINEAR = {
    "circulant": lambda: PartialCirculant(SIZE, m=50),
    "gaussian": lambda: GaussianMatrix(SIZE, m=50),
    "bicubic": lambda: BicubicDownsampling(SIZE, factor=4),
    "average": lambda: BlockAverage(SIZE, factor=4),
    "coarse": lambda: chain(
        BicubicEnlargement((3, 16, 16), factor=2), BlockAverage((3, 16, 16), 4)
    ),
    "gaussian blur": lambda: BlurFFT(SIZE, filter=gaussian_kernel(1.5, largest=8)),
    "motion blur": lambda: BlurFFT(SIZE, filter=motion_kernel(4, 30)),
    "own": lambda: Differentiable(lambda x: x.cumsum(-1)[:, :2], SIZE),
    "chain": lambda: chain(BlockAverage(SIZE, factor=2), PartialCirculant((3, 4, 4), m=20)),
    "grey": lambda: make_physics("colorize", SIZE),
    "box": lambda: make_physics("box:0.3", SIZE),
}
linear = pytest.mark.parametrize("make", LINEAR.values(), ids=LINEAR.keys())


def dense(physics, size=SIZE):
    """The matrix of a linear operator, column by column."""
    n = torch.Size(size).numel()
    columns = physics.A(torch.eye(n, dtype=torch.float64).reshape(n, *size))
    return columns.reshape(n, -1).T


@linear
def test_adjoint_is_the_transpose(make):
    physics = make()
    assert isinstance(physics, LinearPhysics)
    x = torch.rand(2, *SIZE, dtype=torch.float64)
    y = physics.A(x)
    assert physics.adjointness_test(x, num_samples=3).abs() < 1e-10
    torch.testing.assert_close(y.flatten(1), x.flatten(1) @ dense(physics).T)
    torch.testing.assert_close(physics.A_adjoint(y).flatten(1), y.flatten(1) @ dense(physics))


@linear
def test_gradients_are_right_in_both_directions(make):
    physics = make()
    x = torch.rand(2, *SIZE, dtype=torch.float64, requires_grad=True)
    y = torch.rand_like(physics.A(x)).requires_grad_()
    assert torch.autograd.gradcheck(physics.A, x, fast_mode=True)
    assert torch.autograd.gradcheck(physics.A_adjoint, y, fast_mode=True)
    torch.testing.assert_close(torch.autograd.grad(physics.A(x), x, y)[0], physics.A_adjoint(y))


@linear
def test_batch_equals_singles(make):
    physics, x = make(), torch.rand(3, *SIZE)
    singles = torch.cat([physics.A(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(physics.A(x), singles)


@pytest.mark.parametrize("kind", [PartialCirculant, GaussianMatrix])
def test_random_operators_are_made_and_restored_from_seed_and_state(kind):
    x = torch.rand(1, *SIZE)
    saved, other = kind(SIZE, m=20, seed=1), kind(SIZE, m=20, seed=2)
    assert torch.equal(saved.A(x), kind(SIZE, m=20, seed=1).A(x))
    assert not torch.allclose(saved.A(x), other.A(x))
    other.load_state_dict(saved.state_dict())
    assert torch.equal(other.A(x), saved.A(x))


@pytest.mark.parametrize(("kind", "energy"), [(PartialCirculant, 48 / 192), (GaussianMatrix, 1)])
def test_random_operators_scale_energy_as_documented(kind, energy):
    x = torch.rand(1, *SIZE)
    operators = [kind(SIZE, m=48, seed=seed) for seed in range(300)]
    gains = [physics.A(x).square().sum() / x.square().sum() for physics in operators]
    assert torch.stack(gains).mean().item() == pytest.approx(energy, rel=0.08)
    assert operators[0].row_norm ** 2 * 48 / 192 == pytest.approx(energy)


@pytest.mark.parametrize("size", [SIZE, (1, 5, 7)], ids=["even", "odd"])
def test_circulant_rows_are_shifts_of_one_filter(size):
    n = torch.Size(size).numel()
    physics = PartialCirculant(size, m=n)
    matrix = dense(physics, size) * physics.signs
    for i in (1, n // 2):
        torch.testing.assert_close(matrix[i], matrix[0].roll(i))
    torch.testing.assert_close(matrix[0, 1:].flip(0), physics.filter[1:].double())


@pytest.mark.parametrize("m", [0, 193])
def test_circulant_refuses_impossible_numbers_of_measurements(m):
    with pytest.raises(ValueError, match="1 to 192"):
        PartialCirculant(SIZE, m=m)


def test_gaussian_entries_are_independent_gaussians():
    size, m = (3, 31, 33), 600
    entries = dense(GaussianMatrix(size, m), size).mul(m**0.5)
    n = entries.shape[1]
    assert abs(entries.mean().item()) * (m * n) ** 0.5 < 4
    assert abs(entries.var().item() - 1) * (m * n / 2) ** 0.5 < 4
    # Kolmogorov's distance to N(0, 1); beyond 1.95 / √N once in a thousand times
    levels = torch.special.ndtr(entries.flatten()).sort().values
    expected = (torch.arange(m * n) + 0.5) / (m * n)
    assert (levels - expected).abs().max() < 1.95 / (m * n) ** 0.5
    # no two rows or columns go together, nor do their magnitudes (whose products vary more)
    for values, bound in ((entries, 6.5), ((entries.square() - 1) / 2**0.5, 12)):
        for rows in (values, values.T):
            products = (rows @ rows.T / rows.shape[1] ** 0.5).fill_diagonal_(0)
            assert products.abs().max() < bound
    # Marchenko and Pastur: the singular values of A √(m/n) fill [1 - √(m/n), 1 + √(m/n)]
    values = torch.linalg.svdvals(entries / n**0.5)
    assert abs(values.max().item() - 1 - (m / n) ** 0.5) < 0.02
    assert abs(values.min().item() - 1 + (m / n) ** 0.5) < 0.02


def test_gaussian_blocks_are_the_same_however_the_matrix_is_cut(monkeypatch):
    x = torch.rand(1, *SIZE, dtype=torch.float64)
    whole = GaussianMatrix(SIZE, m=50).A(x)
    monkeypatch.setattr("interlayer.problem.gaussian.BLOCK", ((3, 7), (3, 7)))
    torch.testing.assert_close(GaussianMatrix(SIZE, m=50).A(x), whole)


def test_gaussian_rows_that_are_kept_change_nothing(monkeypatch):
    x, y = torch.rand(2, *SIZE), torch.rand(2, 50)
    lean = GaussianMatrix(SIZE, m=50)
    monkeypatch.setattr("interlayer.problem.gaussian.RESERVE", 2**62)
    forward, adjoint = lean.A(x), lean.A_adjoint(y)
    assert torch.equal(lean.A(x), forward)
    assert not lean._kept
    monkeypatch.setattr("interlayer.problem.gaussian.RESERVE", 0)
    physics = GaussianMatrix(SIZE, m=50)
    for _ in range(2):
        assert torch.equal(physics.A(x), forward)
        assert torch.equal(physics.A_adjoint(y), adjoint)
    assert sum(block.shape[1] for block in physics._kept.values()) == 50
    monkeypatch.setattr(physics, "columns", torch.zeros_like(physics.columns))
    assert torch.equal(physics.A(x), forward)  # nothing is made again
    assert not copy.deepcopy(physics)._kept
    assert not physics.double()._kept


def test_bicubic_equals_pytorch_and_block_average_the_mean():
    x = torch.rand(1, 3, 24, 16)
    expected = F.interpolate(x, (6, 4), mode="bicubic", antialias=True)
    physics = BicubicDownsampling((3, 24, 16), factor=4)
    torch.testing.assert_close(physics.A(x), expected, atol=1e-5, rtol=1e-5)
    average = BlockAverage((3, 24, 16), factor=4)
    torch.testing.assert_close(average.A(x)[0, 2, 1, 3], x[0, 2, 4:8, 12:16].mean())


def test_downsampling_by_any_ratio_rounds_the_size():
    x = torch.rand(1, 3, 24, 16)
    expected = F.interpolate(x, (5, 3), mode="bicubic", antialias=True)
    torch.testing.assert_close(BicubicDownsampling((3, 24, 16), 5.1).A(x), expected)


def test_downsampling_refuses_other_factors():
    with pytest.raises(ValueError, match="does not divide"):
        BlockAverage((3, 24, 16), factor=5)
    with pytest.raises(ValueError, match="at least 1"):
        BicubicDownsampling((3, 24, 16), factor=0.5)


def test_enlargement_is_that_of_pytorch_and_keeps_what_is_flat():
    enlarge, small = BicubicEnlargement((3, 24, 16), factor=4), torch.rand(2, 3, 6, 4)
    expected = F.interpolate(small, (24, 16), mode="bicubic", align_corners=False)
    torch.testing.assert_close(enlarge.A(small), expected)
    flat = torch.full((1, 3, 24, 16), 0.3)
    torch.testing.assert_close(enlarge.A(enlarge.small(flat)), flat)


def test_blurs_keep_the_mean_and_have_the_width_asked_for():
    offsets = torch.arange(-32, 33.0)
    kernel = gaussian_kernel(3, largest=100)[0, 0]
    kernel = F.pad(kernel, [(65 - len(kernel)) // 2] * 4)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    assert (kernel.sum(0) * offsets**2).sum().sqrt().item() == pytest.approx(3, rel=0.01)
    line = motion_kernel(9, 90)[0, 0]
    torch.testing.assert_close(line[:, 4], torch.full((9,), 1 / 9))
    assert line.sum().item() == pytest.approx(1)
    # anticlockwise: at 45 degrees the line goes up to the right
    assert motion_kernel(9, 45)[0, 0].flip(0).diagonal().sum() > 0.9


def test_motion_moves_the_image_along_the_line_only():
    x = torch.zeros(1, 3, 16, 16)
    x[..., 8, 8] = 1
    y = BlurFFT((3, 16, 16), filter=motion_kernel(5, 0)).A(x)
    torch.testing.assert_close(y[0, 0, 8, 6:11], torch.full((5,), 0.2))
    assert y.sum().item() == pytest.approx(3, abs=1e-4)


def test_magnitudes_have_a_gradient_everywhere():
    physics = Magnitudes(PartialCirculant(SIZE, m=20))
    x = torch.zeros(1, *SIZE, requires_grad=True)
    assert torch.autograd.grad(physics.A(x).sum(), x)[0].isfinite().all()
    x = torch.randn(1, *SIZE, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(physics.A, x, fast_mode=True)


def test_jpeg_is_nearly_idempotent_coarser_with_less_quality_and_has_a_gradient():
    x = torch.rand(2, *(3, 32, 32), requires_grad=True)
    y = JPEG(30).A(x)
    again = (JPEG(30).A(y) - y).abs().mean()
    assert again < 0.2 * (y - x).abs().mean() < (JPEG(10).A(x) - x).abs().mean()
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], torch.ones_like(x))
    assert 0 <= JPEG(30).A(3 * x - 1).min() and JPEG(30).A(3 * x - 1).max() <= 1
