"""Images that are drawn to be recovered are no method's start."""

import pytest
import torch
from torch import Tensor, nn

from interlayer.errors import InputError
from interlayer.generators.base import Generator, draw_truths, gaussian_by_seed
from interlayer.generators.sequential import Sequential
from interlayer.generators.toy import ToyGenerator


@pytest.fixture
def chain() -> Sequential:
    """A generator whose prior is the Gaussian that random starts are drawn from."""
    torch.manual_seed(0)
    parts = nn.Linear(4, 12), nn.ReLU(), nn.Unflatten(1, (3, 2, 2)), nn.Tanh()
    return Sequential(nn.Sequential(*parts), cuts=["1"], latent_shape=(4,))


def rows(codes: Tensor) -> set[tuple[float, ...]]:
    return {tuple(code) for code in codes.flatten(1).tolist()}


def codes_of_truths(generator: Generator, seeds: range, monkeypatch) -> Tensor:
    codes, forward = [], generator.forward
    with monkeypatch.context() as patch:
        patch.setattr(generator, "forward", lambda z: (codes.append(z), forward(z))[1])
        draw_truths(generator, seeds)
    return torch.cat(codes)


def test_no_truth_has_the_code_of_a_random_start(chain: Sequential, monkeypatch) -> None:
    seeds = range(200)
    starts = rows(gaussian_by_seed(seeds, chain.latent_shape))
    truths = rows(codes_of_truths(chain, seeds, monkeypatch))
    assert rows(chain.sample(seeds)) == starts  # images of plain samples would have it
    assert len(truths) == len(seeds) and truths.isdisjoint(starts)


def test_an_image_depends_on_its_own_seed_alone() -> None:
    G = ToyGenerator()
    x = draw_truths(G, [3, 0, 3, 2**31 - 1])
    assert x.shape == (4, 3, 16, 16) and not x.requires_grad
    assert 0 <= x.min() and x.max() <= 1
    assert torch.equal(x[0], x[2]) and not torch.equal(x[0], x[1])
    for seed, image in ((0, x[1]), (2**31 - 1, x[3])):
        assert torch.equal(draw_truths(G, [seed])[0], image)


def test_studies_keep_their_images() -> None:
    G = ToyGenerator()
    assert torch.equal(draw_truths(G, [5]), G(G.sample([2**31 + 5])))


def test_truncation_pulls_towards_the_mean() -> None:
    G = ToyGenerator()
    mean = G(torch.zeros(1, *G.latent_shape))
    near, far = ((draw_truths(G, [5], psi) - mean).norm() for psi in (0.3, 1.0))
    assert torch.allclose(draw_truths(G, [5], 0.0), mean) and 0 < near < far


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match=f"from 0 to 2147483647, not {seed}"):
        draw_truths(ToyGenerator(), [0, seed])
