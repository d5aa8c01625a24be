import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interlayer.solver import project_l1_ball, project_sphere


def reference(row: torch.Tensor, radius: float) -> torch.Tensor:
    """The sort-based projection (Duchi et al. 2008) in float64."""
    v = row.double()
    if v.abs().sum() <= radius:
        return v
    ordered = v.abs().sort(descending=True).values
    excess = ordered.cumsum(0) - radius
    counts = torch.arange(1, len(v) + 1)
    last = int((ordered * counts >= excess).nonzero().max())
    tau = (excess[last] / (last + 1)).clamp_min(0)
    return v.sign() * (v.abs() - tau).clamp_min(0)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.floats(0, 50), st.booleans())
def test_equals_the_sort_based_projection(seed, size, radius, ties):
    v = torch.randn(2, size, generator=torch.Generator().manual_seed(seed)) * 3
    v = v.round() if ties else v
    expected = torch.stack([reference(row, radius) for row in v]).float()
    torch.testing.assert_close(project_l1_ball(v, radius), expected, atol=2e-6, rtol=1e-5)


def test_feasible_idempotent_and_identity_inside():
    v = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    u = project_l1_ball(v, 7.0)
    assert (u.flatten(1).abs().sum(1) <= 7.0 * (1 + 1e-6)).all()
    torch.testing.assert_close(project_l1_ball(u, 7.0), u, atol=1e-7, rtol=0)
    assert torch.equal(project_l1_ball(v, 1e6), v)


def test_rows_are_independent():
    v = torch.randn(2, 100, generator=torch.Generator().manual_seed(1))
    assert torch.equal(project_l1_ball(v, 3.0)[1:], project_l1_ball(v[1:], 3.0))


def test_stable_in_float32_at_ten_million_entries():
    v = torch.randn(1, 10_000_000, generator=torch.Generator().manual_seed(2))
    u = project_l1_ball(v, 1000.0)
    assert abs(u.double().abs().sum().item() - 1000.0) < 1e-2


def test_radius_zero_is_the_origin_and_negative_is_refused():
    v = torch.tensor([[1.0, -2.0]])
    assert torch.equal(project_l1_ball(v, 0.0), torch.zeros(1, 2))
    for radius in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="at least 0"):
            project_l1_ball(v, radius)


def test_sphere_keeps_direction_and_sets_length():
    z = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(0))
    on = project_sphere(z)
    torch.testing.assert_close(on.norm(dim=-1), torch.full((2, 3), 4.0))
    torch.testing.assert_close(torch.cosine_similarity(on, z, dim=-1), torch.ones(2, 3))
    assert torch.equal(project_sphere(torch.zeros(1, 4)), torch.zeros(1, 4))
    assert project_sphere(torch.ones(2, 100, 1, 1) * 3).eq(1).all()


@pytest.mark.parametrize("push", [1e-7, 1e-5, 1e-3])
def test_a_point_hardly_outside_a_large_ball_is_projected_too(push):
    rng = torch.Generator().manual_seed(3)
    u = project_l1_ball(torch.randn(1, 200_000, generator=rng), 2_000.0)
    for _ in range(20):
        u = u + push * torch.randn(u.shape, generator=rng)
        expected = reference(u[0], 2_000.0).float()
        u = project_l1_ball(u, 2_000.0)
        torch.testing.assert_close(u[0], expected, atol=1e-7, rtol=1e-5)
