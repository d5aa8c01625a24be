"""Generators of any shape, by every way in; measurements of any type."""

import warnings

import deepinv
import numpy as np
import pytest
import torch
from torch import nn

from interlayer import (
    InputError,
    Problem,
    Sequential,
    as_reconstructor,
    auto,
    ilo,
    load,
    reconstruct,
    solve,
)
from interlayer.generators import Adapted, ToyGenerator, draw_truths
from interlayer.problem import make_physics

from .test_solving import Listed


def decoder(height: int, width: int, channels: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 16 * height * width // 16),
        nn.Unflatten(1, (16, height // 4, width // 4)),
        nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(16, 8, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, channels, 3, padding=1),
        nn.Tanh(),
    )


def sequential(height: int = 16, width: int = 16, channels: int = 3) -> Sequential:
    return Sequential(decoder(height, width, channels), cuts=["2", "5"], latent_shape=(8,))


GENERATORS = {
    "toy": ToyGenerator(),
    "three layers": sequential(),
    "3x96x128": sequential(96, 128),
    "one channel": sequential(channels=1),
    "two channels": sequential(channels=2),
    "four channels": sequential(channels=4),
    "float64": ToyGenerator().double(),
    "half": Sequential(decoder(16, 16, 3).half(), cuts=["2"], latent_shape=(8,)),
}


def measured(G, task="inpaint:0.4", seeds=(0,)):
    x = draw_truths(G, list(seeds))
    physics = (
        make_physics(task, G.img_size)
        if x.shape[1] == 3
        else deepinv.physics.Inpainting(G.img_size, mask=0.4)
    )
    return x, physics, physics(x.float())


def error(x_hat, x):
    return (x_hat - x).square().mean().item()


@pytest.mark.filterwarnings("ignore:.*leaves out", "ignore:non_blocking_transfers")
@pytest.mark.parametrize("name", [*GENERATORS, "faces64"])
def test_auto_takes_a_generator_of_any_shape_by_every_way_in(name):
    G = GENERATORS[name] if name in GENERATORS else load(name)
    x, physics, y = measured(G)
    assert x.shape[1:] == G.img_size
    method = auto(60)
    found = {
        "solve": solve(physics, y, G, method).x_hat,
        "reconstructor": as_reconstructor(G, method)(y, physics),
    }
    for state in reconstruct(Problem(physics, y), G, "auto", steps=60):
        found["reconstruct"] = state.x
    grey = error(torch.full_like(x, 0.5), x)
    for way, x_hat in found.items():
        assert x_hat.shape == x.shape and error(x_hat, x) < 0.3 * grey, way
    loader = torch.utils.data.DataLoader(Listed([{"x": x[0].float(), "y": y[0]}]))
    figures = deepinv.test(
        as_reconstructor(G, method),
        loader,
        physics,
        metrics=deepinv.metric.MSE(),
        compare_no_learning=False,
        verbose=False,
        show_progress_bar=False,
    )
    assert figures["MSE"] == pytest.approx(error(found["solve"], x), rel=0.05)


def test_a_default_generator_of_three_layers_needs_no_other_method():
    G = sequential()
    x, physics, y = measured(G)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert error(solve(physics, y, G).x_hat, x) < 1e-3  # the method by its name


@pytest.mark.parametrize("kind", [np.ndarray, torch.float64, torch.float16, torch.int32])
def test_measurements_of_any_type_give_the_same(kind):
    G = ToyGenerator()
    x, physics, _ = measured(G)
    y = physics(x).round() if kind == torch.int32 else physics(x).half().float()
    other = y.numpy() if kind is np.ndarray else y.to(kind)
    method = ilo(12, layers=(0, 2))
    assert torch.equal(solve(physics, other, G, method).x_hat, solve(physics, y, G, method).x_hat)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_modes_without_gradients_change_nothing(mode):
    G = ToyGenerator()
    x, physics, y = measured(G)
    method = auto(20).within(4)
    expected = solve(physics, y, G, method).x_hat
    with mode():
        made = make_physics("inpaint:0.4", G.img_size)
        found = solve(made, made(x), G, method).x_hat
    assert torch.equal(found, expected)


def test_a_callback_sees_every_step():
    G = ToyGenerator()
    _, physics, y = measured(G)
    seen = []
    solve(physics, y, G, ilo(12, layers=(0, 2)), callback=lambda state: seen.append(state.progress))
    assert len(seen) == 12 and seen[-1] == 1 and seen == sorted(seen)


class Conditional(nn.Module):
    """A decoder that also takes a class and gives its features."""

    def __init__(self) -> None:
        super().__init__()
        self.main = decoder(16, 16, 3)

    def forward(self, z, label):
        features = self.main(z)
        return features, label


def test_a_module_of_another_forward_is_adapted():
    G = Sequential(
        Adapted(Conditional(), lambda module, z: module(z, 3)[0]),
        cuts=["module.main.2"],
        latent_shape=(8,),
    )
    z = G.sample([0])
    torch.testing.assert_close(G(z), sequential()(z))


def test_weights_in_which_steps_would_be_lost_are_refused():
    G = ToyGenerator()
    _, physics, y = measured(G)
    with pytest.raises(InputError, match=r"give generator.float\(\)"):
        solve(physics, y, ToyGenerator().half(), ilo(4, layers=(0,)))
