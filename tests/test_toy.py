import pytest
import torch

from interlayer.generators import ToyGenerator
from interlayer.generators.base import measure_statistics


@pytest.fixture
def G() -> ToyGenerator:
    return ToyGenerator()


@pytest.mark.parametrize("resolution", [16, 20])
def test_every_cut_recomposes_exactly(resolution: int) -> None:
    G = ToyGenerator(resolution)
    start = G.start(G.sample([0, 1]))
    whole = G.image(G.run(start, 0, G.num_layers))
    assert whole.shape == (2, 3, resolution, resolution)
    for cut in range(G.num_layers + 1):
        assert torch.equal(G.image(G.run(G.run(start, 0, cut), cut, G.num_layers)), whole)


def test_an_image_depends_on_its_own_seed_alone(G: ToyGenerator) -> None:
    pair = G(G.sample([3, 4]))
    torch.testing.assert_close(pair[1:], G(G.sample([4])))
    assert (pair[0] - pair[1]).abs().max() > 0.05


def test_two_generators_are_the_same_and_leave_global_randomness_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    first, second = ToyGenerator(), ToyGenerator()
    assert torch.equal(torch.randn(3), expected)
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])


def test_truncation_pulls_towards_the_mean(G: ToyGenerator) -> None:
    mean = G(torch.zeros(1, *G.latent_shape))
    assert torch.equal(G(G.sample([7], truncation=0)), mean)
    assert (G(G.sample([7], 0.3)) - mean).norm() < (G(G.sample([7])) - mean).norm()


def test_noise_maps_and_every_style_change_the_image(G: ToyGenerator) -> None:
    z = G.sample([0])
    plain = G(z)
    silent = G.start(z, noise=[torch.zeros(1, 1, 1, 1)] * 3)
    assert not torch.equal(G.image(G.run(silent, 0, 4)).clamp(0, 1), plain)
    for i in range(G.num_ws):
        changed = z.clone()
        changed[:, i] += 1
        assert not torch.equal(G(changed), plain)


def test_double_precision_runs_and_gradients_reach_the_code() -> None:
    G = ToyGenerator().double()
    z = G.sample([0]).requires_grad_()
    assert z.dtype == torch.float64
    G.image(G.run(G.start(z), 0, 4)).square().sum().backward()
    assert z.grad is not None and (z.grad != 0).any(-1).all()
    assert not any(buffer.requires_grad for buffer in G.buffers())


def test_statistics_are_the_spread_over_samples(G: ToyGenerator) -> None:
    states = G.run(G.start(G.sample(range(16))), 0, 2)
    assert states.h is not None
    expected = states.h.var(0).mean((1, 2)).sqrt()
    torch.testing.assert_close(G.statistics(2).std.flatten(), expected, rtol=1e-4, atol=1e-5)
    assert set(measure_statistics(G)) == {1, 2, 3}


@pytest.mark.parametrize("layer", [-1, 0, 4])
def test_only_inner_layers_have_statistics(G: ToyGenerator, layer: int) -> None:
    with pytest.raises(ValueError, match="no input activation"):
        G.statistics(layer)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 5)])
def test_cuts_outside_the_generator_are_refused(G: ToyGenerator, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="not within 0 to 4"):
        G.run(G.start(G.sample([0])), start, stop)


@pytest.mark.parametrize("resolution", [0, 2, 18])
def test_the_resolution_is_a_multiple_of_four(resolution: int) -> None:
    with pytest.raises(ValueError, match="multiple of 4"):
        ToyGenerator(resolution)


def test_map_reaches_every_tensor(G: ToyGenerator) -> None:
    state = G.run(G.start(G.sample([0])), 0, 1).map(lambda t: t.double())
    assert state.h is not None and state.ws is not None and state.rgb is None
    assert {t.dtype for t in (state.h, state.ws, *state.noise)} == {torch.float64}
