"""Priors of one's own on what moves, as densities, scores and priors of deepinv."""

from dataclasses import replace

import pytest
import torch
from deepinv.optim import ScorePrior, Tikhonov

from interlayer import InputError, Latent, Layer, Losses, Method, Stage, make_physics, solve
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.methods.energies import Energy, of_prior, of_score
from interlayer.recipes.saving import to_dict

G = ToyGenerator()


def gaussian(z: torch.Tensor) -> torch.Tensor:
    return z.square().flatten(1).mean(1) / 2


class Shrinking(torch.nn.Module):
    """The denoiser of a standard Gaussian, whose score is -x / (1 + sigma²)."""

    def forward(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        return x / (1 + sigma**2)


def solved(energy: Energy | None, layer: bool = False) -> torch.Tensor:
    x = draw_truths(G, [3])
    physics = make_physics("inpaint:0.2", G.img_size)
    losses = Losses(latent=0.0 if layer else 0.1, layer=0.1 if layer else 0.0)
    losses = replace(losses, **{"layer_energy" if layer else "latent_energy": energy})
    first = Stage(Latent(), 15, 0.1, Losses() if layer else losses)
    stages = (first, Stage(Layer(2), 15, 0.05, losses)) if layer else (first,)
    return solve(physics, physics(x), G, Method("mine", stages)).x_hat


@pytest.mark.parametrize(
    "energy",
    [
        gaussian,
        of_score(lambda z: -z),
        of_prior(Tikhonov()),
        of_prior(ScorePrior(Shrinking()), 1e-2),
    ],
    ids=["density", "score", "explicit prior", "score prior"],
)
def test_every_form_of_the_gaussian_prior_is_the_gaussian_prior(energy):
    torch.testing.assert_close(solved(energy), solved(None), atol=2e-3, rtol=0)
    assert (solved(lambda z: gaussian(z - 2)) - solved(None)).abs().max() > 0.02


def test_a_layers_energy_sees_its_input():
    seen = list[torch.Size]()

    def energy(h: torch.Tensor) -> torch.Tensor:
        seen.append(h.shape)
        return 100 * (h - 1).square().flatten(1).mean(1)

    pulled = solved(energy, layer=True)
    assert set(seen) == {torch.Size((1, 8, 8, 8))}
    assert (pulled - solved(None, layer=True)).abs().max() > 0.02


def test_an_energy_is_no_plain_value():
    losses = Losses(latent=0.1, latent_energy=gaussian)
    with pytest.raises(InputError, match="is of your own"):
        to_dict(Method("mine", (Stage(Latent(), 1, 0.1, losses),)))
