import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interlayer.errors import InputError
from interlayer.generators.base import gaussian_by_seed
from interlayer.generators.sequential import Sequential


def seeded(module: nn.Module) -> nn.Module:
    """The module with weights and running statistics that depend on nothing else."""
    generator = torch.Generator().manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator).abs() + 0.01)
    return module


def dcgan() -> nn.Module:
    """A small DCGAN: z (B, 6, 1, 1) -> (B, 3, 16, 16)."""
    return seeded(
        nn.Sequential(
            nn.ConvTranspose2d(6, 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(8, 5, 4, 2, 1, bias=False),
            nn.BatchNorm2d(5),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(5, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
    )


class Residual(nn.Module):
    """A block that is no chain inside, with control flow that cannot be followed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        if h.abs().max() > -1:
            h = h + self.conv(h)
        return h


class Decoder(nn.Module):
    """A VAE decoder whose forward reshapes and activates between its submodules."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6 * 16)
        self.body = nn.Sequential(Residual(6), nn.Dropout(0.5), Residual(6))
        self.last = nn.Conv2d(6, 1, 1)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, z: Tensor) -> Tensor:
        h = F.relu(self.first(z)).view(-1, 6, 4, 4)
        return torch.sigmoid(self.scale * self.last(self.body(h)))


class Skip(Decoder):
    """The same with a connection from the first activation to the last."""

    def forward(self, z: Tensor) -> Tensor:
        h = F.relu(self.first(z)).view(-1, 6, 4, 4)
        return torch.sigmoid(self.scale * self.last(self.body(h) + h))


class Twice(Decoder):
    """The same with its body run twice."""

    def forward(self, z: Tensor) -> Tensor:
        h = F.relu(self.first(z)).view(-1, 6, 4, 4)
        return torch.sigmoid(self.scale * self.last(self.body(self.body(h))))


class Noisy(Decoder):
    """The same, but random."""

    def forward(self, z: Tensor) -> Tensor:
        x = super().forward(z)
        return x + torch.rand_like(x)


class InPlace(Decoder):
    """The same, changing an activation in place."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.sigmoid(self.last(self.body(self.first(z).view(-1, 6, 4, 4).mul_(2))))


def networks() -> list[tuple[nn.Module, Sequential]]:
    chain, decoder = dcgan(), seeded(Decoder())
    decoder_cuts = ["first", "body.0", "body.2"]
    return [
        (chain, Sequential(chain, cuts=["1", "2", "5"], latent_shape=(6, 1, 1))),
        (decoder, Sequential(decoder, decoder_cuts, (4,), image_range=(0.0, 1.0))),
    ]


@pytest.mark.parametrize("which", [0, 1])
def test_the_chain_is_the_module_and_every_cut_recomposes(which: int) -> None:
    module, G = networks()[which]
    z = G.sample([0, 1])
    states = [G.start(z)]
    for index in range(G.num_layers):
        states.append(G.layer(index, states[-1]))
    final = states[-1].h
    assert final is not None and torch.equal(final, module.eval()(z))
    for cut, state in enumerate(states):
        assert torch.equal(G.image(G.run(state, cut, G.num_layers)), G.image(states[-1]))


def test_a_cut_is_the_output_of_its_submodule() -> None:
    module, G = networks()[1]
    seen: list[Tensor] = []
    module.get_submodule("body.0").register_forward_hook(lambda *a: seen.append(a[2]))
    z = G.sample([3])
    module.eval()(z)
    h = G.run(G.start(z), 0, 2).h
    assert h is not None and torch.equal(h, seen[0])


def test_images_are_black_at_zero_and_white_at_one() -> None:
    _, G = networks()[0]
    z = G.sample([0])
    raw = G.run(G.start(z), 0, G.num_layers)
    assert raw.h is not None and torch.equal(G.image(raw), (raw.h + 1) / 2)
    _, G = networks()[1]
    raw = G.run(G.start(G.sample([0])), 0, G.num_layers)
    assert raw.h is not None and torch.equal(G.image(raw), raw.h)
    assert G(G.sample([0])).shape == (1, 1, 4, 4)


def test_the_users_module_is_left_alone() -> None:
    module = dcgan().train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    G = Sequential(module, ["2"], (6, 1, 1))
    G(G.sample([0, 1]))
    assert module.training and all(p.requires_grad for p in module.parameters())
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert not any(p.requires_grad for p in G.parameters())
    assert not any(layer.training for layer in G.layers)


def test_codes_are_gaussian_by_seed() -> None:
    _, G = networks()[0]
    assert torch.equal(G.sample([4, 5], 0.5)[1:], 0.5 * gaussian_by_seed([5], (6, 1, 1)))


def test_statistics_have_the_shape_of_their_activation() -> None:
    _, G = networks()[1]
    assert [tuple(G.statistics(i).std.shape) for i in (1, 2, 3)] == [(96,), (6, 1, 1), (6, 1, 1)]
    z = G.sample(range(16))
    h = G.run(G.start(z), 0, 1).h
    assert h is not None
    torch.testing.assert_close(G.statistics(1).std, h.std(0), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("module", "cuts", "shape", "message"),
    [
        (dcgan(), ["8"], (6, 1, 1), "no submodule '8'"),
        (dcgan(), [""], (6, 1, 1), "no submodule ''"),
        (dcgan(), ["5", "2"], (6, 1, 1), "not in the order"),
        (dcgan(), ["2", "2"], (6, 1, 1), "not in the order"),
        (dcgan(), ["2"], (7, 1, 1), "does not take codes"),
        (seeded(Skip()), ["first", "body"], (4,), "also reads .*no chain"),
        (seeded(Twice()), ["body"], (4,), "reaches 'body' 2 times"),
        (seeded(Noisy()), ["body"], (4,), "do not give what the module gives"),
        (seeded(InPlace()), ["first"], (4,), "layer 1 changes its input in place"),
        (nn.Sequential(nn.Linear(4, 12), nn.ReLU()), ["0"], (4,), "not images"),
        (Residual(3), ["conv"], (3, 8, 8), "cannot be followed"),
    ],
)
def test_what_cannot_be_cut_is_refused(module, cuts, shape, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sequential(module, cuts, shape)


def test_it_has_no_noise_maps() -> None:
    _, G = networks()[0]
    with pytest.raises(InputError, match="no noise maps"):
        G.start(G.sample([0]), noise=[torch.zeros(1, 1, 4, 4)])
