from collections.abc import Callable
from functools import partial

import pytest
import torch
from deepinv.physics import Denoising, GaussianNoise, PoissonNoise
from deepinv.physics.noise import NoiseModel
from torch import Tensor
from torch.distributions import Normal, Poisson

from interlayer.problem import fidelity_for, measurement_loss
from interlayer.problem.fidelity import (
    LOSSES,
    bernoulli_loss,
    dead_zone_loss,
    huber_loss,
    l1_loss,
    poisson_loss,
)
from interlayer.solver.adam import cosine_ramp
from interlayer.solver.penalties import geodesic_cross, latent_prior

ONE = torch.ones(1, 1)


def quarters(y: Tensor) -> tuple[Tensor, Tensor]:
    """Cells of a quantiser to 0.25, 0.5 and 0.75; the outer two are unbounded."""
    low = torch.where(y < 0.3, -torch.inf, y - 0.125)
    return low, torch.where(y > 0.7, torch.inf, y + 0.125)


FIDELITIES: dict[str, Callable[..., Tensor]] = {
    "mse": measurement_loss,
    "l1": l1_loss,
    "huber": huber_loss,
    "poisson": partial(poisson_loss, gain=0.05),
    "bernoulli": partial(bernoulli_loss, p=0.3),
    "dead zone": partial(dead_zone_loss, cell=quarters),
}
each_fidelity = pytest.mark.parametrize("loss", FIDELITIES.values(), ids=FIDELITIES)


def pictures(seed: int) -> Tensor:
    return torch.rand(3, 3, 8, 10, generator=torch.Generator().manual_seed(seed))


def mask(seed: int) -> Tensor:
    known = torch.rand(3, 1, 8, 10, generator=torch.Generator().manual_seed(seed)) < 0.6
    return known.float()


@each_fidelity
def test_a_perfect_fit_costs_nothing_and_another_something(loss: Callable[..., Tensor]) -> None:
    y = (3 * pictures(0) + 0.5).round().clamp(1, 3) / 4
    assert loss(y, y, mask(0)).abs().max() < 1e-6
    assert (loss(1 - y, y, mask(0)) > 1e-3).all()


@each_fidelity
def test_entries_without_weight_do_not_matter(loss: Callable[..., Tensor]) -> None:
    predicted, y, known = pictures(0), pictures(1), mask(2)
    expected = loss(predicted, y, known)
    torch.testing.assert_close(
        loss(torch.where(known > 0, predicted, 0.1), torch.where(known > 0, y, 0.9), known),
        expected,
    )
    torch.testing.assert_close(loss(predicted, y, 7 * known), expected)
    assert loss(predicted, y, 0 * known).isnan().all()


@each_fidelity
def test_an_image_does_not_see_the_others(loss: Callable[..., Tensor]) -> None:
    predicted, y, known = pictures(0), pictures(1), mask(2)
    alone = [loss(predicted[i : i + 1], y[i : i + 1], known[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(loss(predicted, y, known), torch.cat(alone))


@each_fidelity
def test_gradients_are_those_of_finite_differences(loss: Callable[..., Tensor]) -> None:
    predicted, y, known = (t[:1, :, :3, :3].double() for t in (pictures(0), pictures(1), mask(2)))
    y[0, 0, 0] = 0
    predicted[0, 1, 0] -= 0.9
    assert torch.autograd.gradcheck(lambda v: loss(v, y, known), predicted.requires_grad_())


def test_measurement_loss_is_the_mean_over_weighted_entries():
    predicted = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    y = torch.tensor([[0.0, 2.0, 9.0], [1.0, 1.0, 1.0]])
    weight = torch.tensor([[1.0, 1.0, 0.0]])
    torch.testing.assert_close(measurement_loss(predicted, y, weight), torch.tensor([0.5, 1.0]))


def test_measurement_loss_broadcasts_pixel_weights_over_channels():
    predicted, y = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    weight = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).reshape(1, 1, 2, 2)
    assert measurement_loss(predicted, y, weight).item() == 1.0


def test_measurements_may_be_complex():
    y = torch.zeros(1, 2, dtype=torch.complex64)
    assert measurement_loss(y + (3 + 4j), y, torch.ones(1, 2)).item() == 25.0
    assert l1_loss(y + (3 + 4j), y, torch.ones(1, 2)).item() == 5.0
    assert huber_loss(y + (3 + 4j), y, torch.ones(1, 2), delta=2).item() == 16.0


def test_huber_is_the_squared_error_up_to_delta_and_a_line_after_it() -> None:
    y = torch.zeros(1, 1)
    at = [huber_loss(torch.tensor([[r]]), y, ONE, delta=0.5).item() for r in (0.2, 0.5, 1.5, 2.5)]
    assert at == pytest.approx([0.04, 0.25, 1.25, 2.25])


def test_poisson_loss_is_the_negative_log_likelihood_less_its_minimum() -> None:
    gain, y = 0.05, torch.tensor([[0.05, 0.4, 1.0]])
    predicted = torch.tensor([[0.3, 0.2, 0.9]])
    best, actual = (Poisson(rate / gain).log_prob(y / gain) for rate in (y, predicted))
    expected = gain * (best - actual).mean(1)
    torch.testing.assert_close(poisson_loss(predicted, y, ONE, gain=gain), expected)


def test_poisson_loss_pulls_rates_below_zero_up_and_none_past_a_dark_pixel() -> None:
    predicted = torch.tensor([[-0.5, -0.5]], requires_grad=True)
    poisson_loss(predicted, torch.tensor([[0.4, 0.0]]), ONE, gain=0.1).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad[0, 0] < -1 and 0 <= predicted.grad[0, 1] < 1e-6


def test_bernoulli_loss_is_the_negative_log_likelihood_of_the_mixture() -> None:
    p, s, predicted = 0.3, 0.2, torch.tensor([[0.5, 0.1, 0.4]])
    y = torch.tensor([[0.7, 0.0, 0.0]])
    alive = (Normal(predicted, s).log_prob(y) - Normal(0, s).log_prob(torch.tensor(0.0))).exp()
    likelihood = torch.where(y == 0, p + (1 - p) * alive, alive)
    expected = -2 * s**2 * likelihood.log().mean(1)
    torch.testing.assert_close(bernoulli_loss(predicted, y, ONE, p=p, s=s), expected)


def test_bernoulli_loss_without_dead_pixels_is_the_squared_error() -> None:
    predicted, y = pictures(0), pictures(1).round(decimals=1)
    torch.testing.assert_close(
        bernoulli_loss(predicted, y, mask(2), p=0.0), measurement_loss(predicted, y, mask(2))
    )


def test_the_dead_zone_is_the_cell_and_costs_the_squared_distance_to_it() -> None:
    y = torch.tensor([[0.25, 0.25, 0.5, 0.5, 0.75]])
    inside = torch.tensor([[-9.0, 0.375, 0.375, 0.625, 99.0]])
    outside = torch.tensor([[0.475, 0.475, 0.275, 0.725, 0.525]])
    assert dead_zone_loss(inside, y, ONE, cell=quarters).item() == 0
    assert dead_zone_loss(outside, y, ONE, cell=quarters).item() == pytest.approx(0.01)


class DeadPixels(NoiseModel):
    p = 0.3


class Quantiser:
    cell = staticmethod(quarters)

    def __call__(self, y: Tensor) -> Tensor:
        return y


@pytest.mark.parametrize(
    ("noise", "name"),
    [
        (GaussianNoise(0.1), "mse"),
        (PoissonNoise(0.05), "poisson"),
        (DeadPixels(), "bernoulli"),
    ],
)
def test_the_noise_chooses_the_loss(noise: NoiseModel, name: str) -> None:
    y = pictures(1).floor() + pictures(1) * mask(3)
    expected = FIDELITIES[name](pictures(0), y, mask(2))
    torch.testing.assert_close(
        fidelity_for(Denoising(noise))(pictures(0), y, mask(2), y), expected, rtol=1e-4, atol=1e-6
    )


def test_photon_counts_are_brought_to_the_scale_of_the_image() -> None:
    physics = Denoising(PoissonNoise(torch.tensor([0.05, 0.1, 0.2]), normalize=False))
    counts = (20 * pictures(1)).round()
    gain = torch.tensor([0.05, 0.1, 0.2]).reshape(3, 1, 1, 1)
    expected = poisson_loss(pictures(0), gain * counts, mask(2), gain=gain)
    torch.testing.assert_close(
        fidelity_for(physics)(pictures(0), counts, mask(2), counts), expected
    )


def test_a_quantiser_gets_the_dead_zone() -> None:
    physics = Denoising(GaussianNoise(0.1))
    physics.sensor_model = Quantiser()
    expected = FIDELITIES["dead zone"](pictures(0), pictures(1), mask(2))
    assert fidelity_for(physics)(pictures(0), pictures(1), mask(2), pictures(0)).equal(expected)


def test_named_losses_are_the_named_ones_and_auto_leaves_it_to_the_noise() -> None:
    assert LOSSES == {"auto": None} | {name: FIDELITIES[name] for name in ("mse", "l1", "huber")}


def test_the_latent_prior_is_the_gaussian_log_density_per_entry() -> None:
    z = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    density = Normal(0, 1).log_prob(z) - Normal(0, 1).log_prob(torch.zeros(()))
    torch.testing.assert_close(latent_prior(z), -density.flatten(1).mean(1))


def test_geodesic_cross_is_zero_for_one_code_repeated_and_ignores_length():
    codes = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0)).expand(1, 4, 8)
    lengths = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    assert geodesic_cross(codes * lengths).item() < 1e-6


def test_geodesic_cross_of_opposite_codes_is_pi_squared():
    codes = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    torch.testing.assert_close(geodesic_cross(codes), torch.tensor([torch.pi**2]))
    assert geodesic_cross(codes[:, :1]).item() == 0
    assert geodesic_cross(torch.ones(2, 100, 1, 1)).tolist() == [0, 0]


def test_geodesic_cross_has_the_same_gradient_every_time_on_several_threads():
    codes = torch.randn(1, 23, 512, generator=torch.Generator().manual_seed(0)).requires_grad_()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        gradients = [torch.autograd.grad(geodesic_cross(codes).sum(), codes)[0] for _ in range(20)]
    finally:
        torch.set_num_threads(threads)
    assert all(gradient.equal(gradients[0]) for gradient in gradients)


def test_geodesic_cross_has_finite_gradients_at_coinciding_codes():
    codes = torch.ones(1, 3, 4, requires_grad=True)
    geodesic_cross(codes).sum().backward()
    assert codes.grad is not None and codes.grad.isfinite().all()


def test_cosine_ramp_rises_stays_and_falls():
    factors = [cosine_ramp(i, 100) for i in range(100)]
    assert factors[:5] == sorted(factors[:5]) and factors[0] < 0.2
    assert all(f == 1 for f in factors[5:75])
    assert factors[75:] == sorted(factors[75:], reverse=True) and 0 < factors[-1] < 0.01
    assert 0 < cosine_ramp(0, 1) <= 1
