import torch
from torch import nn

from interlayer import csgm, ilo, make_physics, solve
from interlayer.generators.base import measure_statistics
from interlayer.generators.dcgan import build_dcgan
from interlayer.weights import loading


def network() -> nn.Sequential:
    torch.manual_seed(0)
    widths = [(5, 8), (8, 6), (6, 3)]
    parts: list[nn.Module] = []
    for i, (inputs, width) in enumerate(widths):
        stride, padding = (2, 1) if i else (1, 0)
        parts.append(nn.ConvTranspose2d(inputs, width, 4, stride, padding, bias=False))
        parts += [nn.BatchNorm2d(width), nn.ReLU()] if width > 3 else [nn.Tanh()]
    for part in parts:
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(part.weight)
    return nn.Sequential(*parts).eval()


@torch.no_grad()
def test_the_chain_is_the_network_of_its_state_dictionary():
    module = network()
    G = build_dcgan(module.state_dict())
    z = G.sample([0, 1])
    assert (G.num_layers, G.resolution, G.latent_shape) == (3, 16, (5, 1, 1))
    torch.testing.assert_close(G(z), (module(z) + 1) / 2)


def test_stored_statistics_are_used_as_they_are():
    tensors = dict(network().state_dict())
    measured = measure_statistics(build_dcgan(tensors))
    stored = {f"statistics.{i}": 2 * found.std for i, found in measured.items()}
    G = build_dcgan(tensors | stored)
    assert all(torch.equal(G.statistics(i).std, 2 * measured[i].std) for i in (1, 2))


def test_the_named_weights_draw_and_recover_faces():
    G = loading.load("faces64")
    x = G(G.sample([3]))
    assert x.shape == (1, 3, 64, 64) and x.std() > 0.1
    physics = make_physics("circulant:0.1", x.shape[1:])
    solution = solve(physics, physics(x), G, ilo().within(G.num_layers))
    mean = G(torch.zeros(1, *G.latent_shape))
    assert (solution.x_hat - x).square().mean() < 0.2 * (mean - x).square().mean()


def test_a_search_gets_away_from_its_start():
    module = network()
    with torch.no_grad():
        module.get_parameter("0.weight").mul_(0.1)
        module.get_parameter("1.bias").fill_(-1.0)  # at z = 0 every rectifier is off
    G = build_dcgan(module.state_dict())
    x = G(G.sample([5]))
    physics = make_physics("inpaint:0.5", tuple(x.shape[1:]))
    solution = solve(physics, physics(x), G, csgm(40))
    first, last = solution.losses[0, 0], solution.losses[-1, 0]
    assert (last < 0.5 * first).all()
