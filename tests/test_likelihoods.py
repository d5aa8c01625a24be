# pyright: reportArgumentType=false, reportIncompatibleMethodOverride=false, reportOptionalCall=false
"""Every noise model of deepinv has the likelihood that its samples follow, or a warning."""

import inspect

import deepinv.physics.noise
import pytest
import torch
from deepinv.optim import L1, L2
from deepinv.physics import (
    Denoising,
    FisherTippettNoise,
    GammaNoise,
    GaussianNoise,
    Inpainting,
    LaplaceNoise,
    LogPoissonNoise,
    PoissonGaussianNoise,
    PoissonNoise,
    RicianNoise,
    SaltPepperNoise,
    UniformGaussianNoise,
    UniformNoise,
    ZeroNoise,
)
from deepinv.physics.noise import NoiseModel

from interlayer import Problem, auto, ilo, solve
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.problem import fidelity_for, measurement_loss

G = ToyGenerator()
NOISES = {
    "GaussianNoise": GaussianNoise(0.1),
    "ZeroNoise": ZeroNoise(),
    "UniformGaussianNoise": UniformGaussianNoise(0.05, 0.2),
    "PoissonNoise": PoissonNoise(0.05),
    "PoissonGaussianNoise": PoissonGaussianNoise(0.05, 0.1),
    "UniformNoise": UniformNoise(0.2),
    "LaplaceNoise": LaplaceNoise(0.1),
    "GammaNoise": GammaNoise(10.0),
    "LogPoissonNoise": LogPoissonNoise(200.0, 1.0),
    "FisherTippettNoise": FisherTippettNoise(5.0),
    "RicianNoise": RicianNoise(0.1),
    "SaltPepperNoise": SaltPepperNoise(0.1, 0.15),
}
EXACT = ("GaussianNoise", "ZeroNoise", "UniformGaussianNoise")


def test_no_noise_of_deepinv_is_forgotten():
    found = inspect.getmembers(deepinv.physics.noise, inspect.isclass)
    kinds = {name for name, kind in found if issubclass(kind, NoiseModel)}
    assert kinds - {"NoiseModel"} == set(NOISES)
    for name, noise in NOISES.items():
        chosen = fidelity_for(Denoising(noise))
        assert (chosen is measurement_loss) == (name in EXACT)


@pytest.mark.parametrize("name", NOISES)
def test_the_truth_has_the_least_expected_error(name):
    """A likelihood is proper: over many samples no other value explains them better."""
    torch.manual_seed(0)
    noise, truth = NOISES[name], 0.5
    y = noise(torch.full((1, 400_000), truth))
    loss, weight = fidelity_for(Denoising(noise)), torch.ones(1, 1)
    guesses = torch.linspace(0.3, 0.7, 41)
    errors = torch.stack([loss(torch.full_like(y, a.item()), y, weight, y)[0] for a in guesses])
    assert guesses[errors.argmin()].item() == pytest.approx(truth, abs=0.011)


@pytest.mark.parametrize("name", sorted(set(NOISES) - {"SaltPepperNoise", "LaplaceNoise"}))
def test_near_a_fit_every_error_is_about_the_squared_one(name):
    y = torch.full((1, 100), 0.5)
    loss, weight = fidelity_for(Denoising(NOISES[name])), torch.ones(1, 1)
    found = loss(y + 0.02, y, weight, y) + loss(y - 0.02, y, weight, y)
    found = found - 2 * loss(y, y, weight, y)
    expected = 0.5 / 0.7 if name == "PoissonGaussianNoise" else 1  # half the mean over the variance
    assert found.item() / (2 * 0.02**2) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("name", NOISES)
def test_entries_of_weight_0_do_not_count(name):
    torch.manual_seed(0)
    y = NOISES[name](torch.full((2, 3, 4, 4), 0.5))
    mask = torch.zeros(2, 1, 4, 4)
    mask[..., :2] = 1
    loss, x = fidelity_for(Denoising(NOISES[name])), torch.full_like(y, 0.4)
    other = torch.where(mask > 0, y, 0.3)
    torch.testing.assert_close(loss(x, y, mask, x), loss(x, other, mask, x))


def test_where_no_photon_arrived_there_is_half_of_one():
    physics = Denoising(LogPoissonNoise(20.0, 2.0))
    y = torch.full((1, 3, 4, 4), 0.5)
    y[..., 0] = torch.inf
    with pytest.warns(UserWarning, match="no photon arrived in 12 measurements"):
        problem = Problem(physics, y)
    assert (20 * (-2 * problem.y[..., 0]).exp()).allclose(torch.tensor(0.5))


class Odd(NoiseModel):
    """Noise that nobody has described."""

    def forward(self, x, **kwargs):
        return x + 0.01


def test_noise_without_a_known_likelihood_is_named():
    x = draw_truths(G, [0])
    physics = Denoising(Odd())
    with pytest.warns(UserWarning, match="suits Odd; the squared error is used"):
        solve(physics, physics(x), G, ilo(4, layers=(0,)))
    solve(physics, physics(x), G, ilo(4, layers=(0,)), fidelity=measurement_loss)


def test_fidelities_of_deepinv_are_taken_as_they_are():
    x = draw_truths(G, [0, 1])
    physics = Inpainting((3, 16, 16), mask=0.5)
    y = physics(x)
    weight = torch.ones(2, 1, 16, 16)
    found = Problem(physics, y, L2()).own_fidelity(0 * y, y, weight, x)
    torch.testing.assert_close(found, measurement_loss(0 * y, y, weight) / 2)
    x_hat = solve(physics, y, G, ilo(60, layers=(0, 2)), fidelity=L1()).x_hat
    assert (x_hat - x).square().mean() < 1e-3


def test_a_fidelity_of_ones_own_keeps_the_image_stage_and_its_outliers():
    x = draw_truths(G, [0])
    physics = Inpainting((3, 16, 16), mask=torch.ones(3, 16, 16))
    y = physics(x)
    y[..., 3, 4] = 1.0  # one that the operator says is exact
    solution = solve(physics, y, G, auto(60).within(4), fidelity=L1())
    assert solution.stages[-1].layer == G.num_layers
    assert (solution.x_hat[..., 3, 4] - x[..., 3, 4]).abs().max() < 0.1
