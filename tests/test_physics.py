import pytest
import torch
import torch.nn.functional as F

from interlayer import BicubicDownsampling, PartialCirculant

SIZE = (3, 8, 8)


def dense(physics, size=SIZE):
    """The matrix of a linear operator, column by column."""
    n = torch.Size(size).numel()
    columns = physics.A(torch.eye(n, dtype=torch.float64).reshape(n, *size))
    return columns.reshape(n, -1).T


@pytest.mark.parametrize(
    "physics", [PartialCirculant(SIZE, m=50), BicubicDownsampling(SIZE, factor=4)]
)
def test_adjoint_is_the_transpose(physics):
    x = torch.rand(2, *SIZE, dtype=torch.float64)
    assert physics.adjointness_test(x).abs() < 1e-10
    y = physics.A(x[:1])
    expected = dense(physics).T @ y.flatten()
    torch.testing.assert_close(physics.A_adjoint(y).flatten(), expected)


def test_circulant_rows_are_shifts_of_one_filter():
    physics = PartialCirculant(SIZE, m=192)
    matrix = dense(physics) * physics.signs
    for i in (1, 100):
        torch.testing.assert_close(matrix[i], matrix[0].roll(i))
    torch.testing.assert_close(matrix[0, 1:].flip(0), physics.filter[1:].double())


def test_circulant_keeps_energy_m_over_n_on_average():
    x = torch.rand(1, *SIZE)
    ratios = [
        PartialCirculant(SIZE, m=48, seed=seed).A(x).square().sum() / x.square().sum()
        for seed in range(400)
    ]
    assert abs(torch.stack(ratios).mean().item() - 48 / 192) < 0.02


def test_circulant_same_seed_same_operator_other_seed_another():
    x = torch.rand(1, *SIZE)
    y = PartialCirculant(SIZE, m=20, seed=3)(x)
    assert torch.equal(y, PartialCirculant(SIZE, m=20, seed=3)(x))
    assert not torch.equal(y, PartialCirculant(SIZE, m=20, seed=4)(x))


def test_circulant_state_is_saved_and_restored():
    x = torch.rand(1, *SIZE)
    saved, other = PartialCirculant(SIZE, m=20, seed=1), PartialCirculant(SIZE, m=20, seed=2)
    other.A(x)
    other.load_state_dict(saved.state_dict())
    assert torch.equal(other.A(x), saved.A(x))


def test_circulant_batch_equals_singles():
    physics, x = PartialCirculant(SIZE, m=20), torch.rand(3, *SIZE)
    singles = torch.cat([physics.A(x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(physics.A(x), singles)


@pytest.mark.parametrize("m", [0, 193])
def test_circulant_refuses_impossible_numbers_of_measurements(m):
    with pytest.raises(ValueError, match="1 to 192"):
        PartialCirculant(SIZE, m=m)


def test_bicubic_equals_pytorch_and_refuses_other_factors():
    x = torch.rand(1, 3, 24, 16)
    expected = F.interpolate(x, (6, 4), mode="bicubic", antialias=True)
    physics = BicubicDownsampling((3, 24, 16), factor=4)
    torch.testing.assert_close(physics.A(x), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="does not divide"):
        BicubicDownsampling((3, 24, 16), factor=5)
