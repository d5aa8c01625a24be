"""Noise and quantisers."""

import pytest
import torch
from deepinv.physics import GaussianNoise, PoissonNoise

from interlayer.problem import DeadPixels, SeededGaussianNoise, SeededPoissonNoise, UniformQuantiser


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


NOISES = {
    "gaussian": lambda seed: SeededGaussianNoise(0.1, rng=rng(seed)),
    "poisson": lambda seed: SeededPoissonNoise(0.1, clip_positive=True, rng=rng(seed)),
    "dead": lambda seed: DeadPixels(0.3, rng=rng(seed)),
}


@pytest.mark.parametrize("make", NOISES.values(), ids=NOISES.keys())
def test_noise_depends_on_image_and_seed_alone(make):
    y, noise = torch.rand(3, 3, 8, 8), make(4)
    first = noise(y)
    assert torch.equal(first, noise(y)) and torch.equal(first[2:], noise(y[2:]))
    assert torch.equal(first, make(4)(y)) and not torch.equal(first, make(5)(y))


def test_noises_have_the_moments_of_their_kind():
    y = torch.full((1, 3, 100, 100), 0.4)
    gaussian, photons = NOISES["gaussian"](0), NOISES["poisson"](0)
    assert isinstance(gaussian, GaussianNoise) and isinstance(photons, PoissonNoise)
    assert (gaussian(y) - y).std().item() == pytest.approx(0.1, rel=0.03)
    assert photons(y).mean().item() == pytest.approx(0.4, rel=0.03)
    assert photons(y).var().item() == pytest.approx(0.1 * 0.4, rel=0.05)


def test_dead_pixels_are_dead_in_all_channels_and_entries_of_vectors_alone():
    dead = DeadPixels(0.3, rng=rng())
    kept = dead(torch.ones(2, 3, 100, 100))
    assert (kept == kept[:, :1]).all() and kept.mean().item() == pytest.approx(0.7, abs=0.02)
    assert dead(torch.ones(2, 10_000)).mean().item() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("bits", range(1, 9))
def test_quantised_values_are_middles_of_cells_that_hold_the_input(bits):
    sensor = UniformQuantiser(bits, -0.5, 1.5)
    y = 3 * torch.rand(10_000, dtype=torch.float64, generator=rng()) - 1
    middles = sensor(y)
    low, high = sensor.cell(middles)
    assert len(middles.unique()) == 2**bits and torch.equal(sensor(middles), middles)
    assert (low <= y).all() and (y < high).all()
    inside = low.isfinite() & high.isfinite()
    torch.testing.assert_close(middles[inside], ((low + high) / 2)[inside])
    assert torch.equal(torch.stack(sensor.cell(y)), torch.stack([low, high]))


@pytest.mark.parametrize("bits", range(1, 9))
def test_gaussian_quantisers_have_the_least_error_on_gaussians(bits):
    middles = (torch.arange(2**18, dtype=torch.float64) + 0.5) / 2**18
    y = 3 * torch.special.ndtri(middles)

    def error(stretch):
        best = UniformQuantiser.for_gaussian(bits, std=3)
        sensor = UniformQuantiser(bits, best.low * stretch, best.high * stretch)
        return (sensor(y) - y).square().mean()

    assert error(1) < min(error(0.97), error(1.03))
    assert bits > 1 or error(1).item() == pytest.approx(9 * (1 - 2 / torch.pi), rel=1e-3)


@pytest.mark.parametrize("arguments", [(0,), (9,), (1, 1.0, 1.0)])
def test_impossible_quantisers_are_refused(arguments):
    with pytest.raises(ValueError, match="1 to 8 bits"):
        UniformQuantiser(*arguments)
