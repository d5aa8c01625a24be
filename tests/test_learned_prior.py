"""A prior learned from a generator's own samples: what it knows, its file and its commands."""

import sys
from collections import deque

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from interlayer import InputError, Sequential, iterate
from interlayer.app import cli
from interlayer.generators import Generator, ToyGenerator, draw_truths
from interlayer.methods import sgilo
from interlayer.networks.denoiser import Denoiser
from interlayer.problem import measure
from interlayer.recipes.learned_prior import LearnedPrior, load_prior
from interlayer.recipes.training import train_prior
from interlayer.weights import loading

G = ToyGenerator()


def narrow() -> Generator:
    """A generator whose first activation has three degrees of freedom among 8 x 8 x 8 numbers."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(3, 512),
        nn.Unflatten(1, (8, 8, 8)),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 3, 3, padding=1),
        nn.Tanh(),
    )
    return Sequential(module, cuts=["1"], latent_shape=(3,))


def learned(generator: Generator, layer: int, steps: int, seed: int = 0) -> LearnedPrior:
    return deque(train_prior(generator, [layer], steps, seed), maxlen=1)[0].prior


def test_a_denoiser_learns_what_a_gaussian_cannot_know():
    generator = narrow()
    states = list(train_prior(generator, [1], steps=100))
    assert states[0].loss == pytest.approx(1, abs=1e-6)
    net = states[-1].prior.denoisers[1]
    h = generator.run(generator.start(generator.sample([0, 1, 2, 3])), 0, 1).h
    assert h is not None
    u = net.whiten(h)
    noisy = u + torch.randn(u.shape, generator=torch.Generator().manual_seed(0))
    error = (net(noisy, torch.ones(4)) - u).square().mean()
    assert error < 0.7 * (noisy / 2 - u).square().mean()


def test_an_energy_pulls_towards_what_the_denoiser_finds():
    net = Denoiser(torch.full((4, 8, 8), 2.0), torch.full((4, 1, 1), 3.0), width=8, depth=1)
    h = torch.randn(2, 4, 8, 8).requires_grad_()
    LearnedPrior({2: net}, "x").energies(0.7)[2](h).sum().backward()
    u = net.whiten(h.detach())
    expected = (u - net(u, torch.full((2,), 0.7))) / u[0].numel() / 3
    torch.testing.assert_close(h.grad, expected)


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (16, 24), (36, 36), (9, 64)])
def test_a_denoiser_takes_maps_of_any_size(size):
    net = Denoiser(torch.zeros(3, *size), torch.ones(3, 1, 1), width=8, depth=2)
    assert net(torch.randn(2, 3, *size), torch.tensor([0.1, 4.0])).shape == (2, 3, *size)


def test_the_same_seed_learns_the_same_whatever_was_drawn_before():
    first = learned(G, 2, 3)
    torch.rand(7)
    again, other = learned(G, 2, 3), learned(G, 2, 3, seed=1)
    for name, tensor in first.denoisers[2].state_dict().items():
        assert torch.equal(again.denoisers[2].state_dict()[name], tensor)
    assert not torch.equal(other.denoisers[2].first.weight, first.denoisers[2].first.weight)


def test_a_prior_comes_back_from_its_file_exactly(tmp_path):
    prior = learned(G, 2, 3)
    prior.save(tmp_path / "p.safetensors")
    again = load_prior(tmp_path / "p.safetensors", G)
    h = torch.randn(2, *prior.denoisers[2].mean.shape)
    for sigma in (0.3, 1.0):
        gradients = []
        for each in (prior, again):
            at = h.clone().requires_grad_()
            each.energies(sigma)[2](at).sum().backward()
            gradients.append(at.grad)
        assert torch.equal(*gradients)


def test_a_prior_of_something_else_is_refused(tmp_path):
    path = tmp_path / "p.safetensors"
    with pytest.raises(InputError, match="does not exist"):
        load_prior(path, G)
    learned(G, 2, 1).save(path)
    with pytest.raises(InputError, match="was learned from toy, not from"):
        load_prior(path, narrow())
    with pytest.raises(InputError, match="was learned from toy, not from toy"):
        load_prior(path, ToyGenerator(64))
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    broken = [
        (tensors, {"format": "interlayer prior 2", "generator": "toy"}),
        ({"2.mean": tensors["2.mean"]}, {"format": "interlayer prior 1", "generator": "toy"}),
        ({"x": torch.zeros(1)}, {"format": "interlayer prior 1", "generator": "toy"}),
    ]
    for contents, metadata in broken:
        save_file(contents, path, metadata)
        with pytest.raises(InputError, match="is no prior of this version"):
            load_prior(path, G)
    path.write_bytes(b"{}")
    with pytest.raises(InputError, match="is no prior of this version"):
        load_prior(path, G)


@pytest.mark.parametrize("layer", [0, G.num_layers])
def test_layers_without_an_input_are_not_learned(layer):
    with pytest.raises(InputError, match=f"layer {layer} of toy has no input to learn"):
        next(train_prior(G, [layer], 1))


def test_sgilo_asks_the_denoisers_and_they_move_it():
    problem = measure(draw_truths(G, [3]), "inpaint:0.05", seed=0)
    energies = learned(G, 2, 20).energies()

    def found(method):
        return deque(iterate(problem, G, method.within(3)), maxlen=1)[0].solution().x_hat

    assert (found(sgilo(40)) - found(sgilo(40, energies=energies))).abs().max() > 1e-3
    strong, weak = (found(sgilo(40, energies=energies, learned=w)) for w in (0.5, 1e-9))
    assert (strong - weak).abs().max() > 1e-3


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: G)
    monkeypatch.setattr(sys, "argv", ["interlayer", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_the_commands_learn_go_on_and_recover(monkeypatch, capsys, tmp_path):
    out = tmp_path / "p.safetensors"
    assert run(monkeypatch, "train-prior", "toy", "--out", out, "--steps", 2) == 0
    first = load_prior(out, G).denoisers[2].state_dict()
    more = ("train-prior", "toy", "--out", out, "--steps", 2, "--layers", "2,1")
    assert run(monkeypatch, *more) == 0
    both = load_prior(out, G).denoisers
    assert sorted(both) == [1, 2]
    assert all(torch.equal(first[name], t) for name, t in both[2].state_dict().items())
    recover = ("recover", "sample:astronaut", "--task", "inpaint:0.2", "--steps", 8)
    recover = (*recover, "--out", tmp_path / "out", "--prior", out)
    assert run(monkeypatch, *recover, "--method", "sgilo") == 0
    assert run(monkeypatch, *recover) == 2
    assert "--prior is for --method sgilo, not for auto" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--layers", "2,x"), "--layers is a list of numbers"),
        (("--out", "prior.pt"), "must end in .safetensors"),
        (("--layers", "7"), "layer 7 of toy has no input to learn"),
    ],
)
def test_bad_flags_are_told_in_one_sentence(monkeypatch, capsys, tmp_path, flags, sentence):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train-prior", "toy", *flags) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
