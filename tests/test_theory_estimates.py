"""Estimates of what enters the bounds of docs/theory.md, against values that are known."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from interlayer.errors import InputError
from interlayer.evaluation.theory import (
    effective_dimension,
    layer_map,
    local_lipschitz,
    secant_gains,
    secant_lipschitz,
    spectral_product,
)
from interlayer.generators import Sequential, ToyGenerator
from interlayer.problem import GaussianMatrix


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 4 * 16), nn.Unflatten(1, (4, 4, 4)), nn.BatchNorm2d(4), nn.ReLU(),
        nn.ConvTranspose2d(4, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def jacobian_norm(f: Callable[[Tensor], Tensor], x: Tensor) -> float:
    J = torch.autograd.functional.jacobian(lambda v: f(v).flatten(), x)
    assert isinstance(J, Tensor)
    return torch.linalg.matrix_norm(J.reshape(J.shape[0], -1), 2).item()


def test_lipschitz_estimates_stand_in_order():
    G = Sequential(network(), cuts=["3"], latent_shape=(6,))
    z = G.sample([0, 1, 2])
    first, second = G.layers
    local = local_lipschitz(second, first(z), iterations=200)
    for row, norm in zip(first(z), local, strict=True):
        assert norm.item() == pytest.approx(jacobian_norm(second, row[None]), rel=1e-3)
    secant = secant_lipschitz(second, first(z), first(G.sample([3, 4, 5])))
    assert secant.max() <= spectral_product(second, first(z)) * (1 + 1e-4)
    assert local.max() <= spectral_product(second, first(z)) * (1 + 1e-4)


def test_a_spectral_product_is_the_norm_of_an_affine_run():
    affine = network()[:3].eval()
    x = torch.randn(2, 6, generator=rng())
    assert spectral_product(affine, x) == pytest.approx(jacobian_norm(affine, x[:1]), rel=1e-3)
    doubled = nn.Sequential(affine, nn.Sigmoid())
    assert spectral_product(doubled, x) == pytest.approx(spectral_product(affine, x) / 4)


def test_what_has_no_known_bound_is_refused():
    with pytest.raises(InputError, match="no Lipschitz bound is known"):
        spectral_product(nn.Sequential(nn.Softplus()), torch.zeros(1, 2))


def test_a_layer_map_is_the_rest_of_the_generator():
    G = ToyGenerator()
    z = G.sample([0, 1])
    state = G.run(G.start(z), 0, 1)
    assert state.h is not None
    x = G.image(G.run(state, 1, G.num_layers))
    assert torch.equal(layer_map(G, state, 1, G.num_layers)(state.h), x)
    assert layer_map(G, state, 1, 2)(state.h).shape == (2, 8, 8, 8)


def test_effective_dimension_counts_directions_beyond_the_number_of_samples():
    samples = torch.randn(60, 400, generator=rng())
    assert effective_dimension(samples) == pytest.approx(400, rel=0.5)
    spread = torch.randn(3000, 3, generator=rng()) * torch.tensor([2.0, 1.0, 1.0]) + 100
    assert effective_dimension(spread) == pytest.approx(36 / 18, rel=0.1)
    with pytest.raises(ValueError, match="at least 4"):
        effective_dimension(samples[:3])


def test_secant_gains_do_not_depend_on_an_operators_scale():
    x1, x2 = torch.rand(2, 6, 1, 8, 8, generator=rng())
    physics = GaussianMatrix((1, 8, 8), m=40)
    gains = secant_gains(physics, x1, x2)
    expected = physics.A(x1 - x2).norm(dim=1) / (x1 - x2).flatten(1).norm(dim=1)
    torch.testing.assert_close(gains, expected, rtol=1e-4, atol=0)
