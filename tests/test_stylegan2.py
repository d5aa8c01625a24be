import importlib.util
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import modulation
from interlayer.generators.base import LayerState, gaussian_by_seed
from interlayer.generators.layout import Layout, Output
from interlayer.generators.stylegan2 import StyleGAN2
from interlayer.weights.checkpoints import load_generator

ROOT = Path(__file__).parents[1]
FIXTURES = Path(os.environ.get("INTERLAYER_FIXTURES", ROOT.parent / "shared" / "fixtures"))
OUTPUTS: tuple[Output, ...] = ("skip", "resnet", "orig")
BOUND = {
    "nv_ada_skip_32": 5e-5,
    "nv_ada_cond_32": 5e-5,
    "nv_ada_skip_64_clamp": 5e-4,
    "nv_ada_resnet_32": 5e-5,
    "nv_ada_orig_32": 5e-5,
    "nv_ada_linear_map": 5e-5,
}


def load_textbook():
    """The benchmark's reference: the paper's formulation with per-sample weights."""
    path = ROOT / "benchmarks" / "stylegan2_step.py"
    spec = importlib.util.spec_from_file_location("stylegan2_step", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.TextbookStyleGAN2


TextbookStyleGAN2 = load_textbook()


def layout(output: Output = "skip", **changes) -> Layout:
    settings = {"channels": (8, 6, 6, 4, 2), "z_dim": 6, "mapping": (10, 8), "output": output}
    return Layout(**(settings | changes))


def generator(output: Output = "skip", *, seed: int = 0, **settings) -> StyleGAN2:
    return StyleGAN2(layout(output).random_tensors(seed), **settings)


def styles(G: StyleGAN2, batch: int = 2, seed: int = 1) -> Tensor:
    """A different style at every input."""
    return gaussian_by_seed(range(seed, seed + batch), G.latent_shape)


def states(G, start: LayerState) -> list[LayerState]:
    found = [start]
    for index in range(len(G.layout.channels)):
        found.append(G.layer(index, found[-1]))
    return found


def tensors_of(state: LayerState) -> list[Tensor]:
    return [t for t in (state.h, state.rgb) if t is not None]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("conv_clamp", [None, 0.5])
def test_it_is_the_textbook_formulation(output: Output, conv_clamp: float | None) -> None:
    tensors = layout(output).random_tensors(seed=3)
    G = StyleGAN2(tensors, conv_clamp=conv_clamp)
    textbook = TextbookStyleGAN2(tensors, conv_clamp)
    start = G.start_from_styles(styles(G))
    for ours, theirs in zip(states(G, start)[1:], states(textbook, start)[1:], strict=True):
        assert len(tensors_of(ours)) == len(tensors_of(theirs))
        for a, b in zip(tensors_of(ours), tensors_of(theirs), strict=True):
            torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-5)
    if conv_clamp is not None:
        free = StyleGAN2(tensors).run(start, 0, G.num_layers)
        assert not torch.allclose(free.rgb, ours.rgb, atol=0.02)  # type: ignore[arg-type]


@pytest.mark.parametrize("output", OUTPUTS)
def test_its_gradients_are_the_textbook_ones(output: Output) -> None:
    tensors = layout(output).random_tensors(seed=4)
    G, textbook = StyleGAN2(tensors), TextbookStyleGAN2(tensors)
    weights = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def gradients(model) -> list[Tensor]:
        ws = styles(G).requires_grad_()
        noise = [n.clone().requires_grad_() for n in G.noise_maps()]
        before = model.layer(0, G.start_from_styles(ws, noise))
        assert before.h is not None
        change = torch.zeros_like(before.h).requires_grad_()
        state = LayerState(before.h + change, before.ws, before.noise, before.rgb)
        for index in range(1, G.num_layers):
            state = model.layer(index, state)
        assert state.rgb is not None
        return list(torch.autograd.grad((state.rgb * weights).sum(), [ws, change, *noise]))

    for ours, theirs in zip(gradients(G), gradients(textbook), strict=True):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_cut_recomposes_exactly(output: Output, precision: torch.dtype) -> None:
    G = generator(output, precision=precision)
    found = states(G, G.start(G.sample([0, 1])))
    whole = G.image(found[-1])
    assert whole.shape == (2, 3, 64, 64) and whole.dtype == torch.float32 and whole.std() > 0.02
    for cut, state in enumerate(found):
        assert torch.equal(G.image(G.run(state, cut, G.num_layers)), whole)


def test_a_cut_needs_the_running_image() -> None:
    G = generator()
    cut = G.run(G.start(G.sample([0])), 0, 3)
    bare = LayerState(cut.h, cut.ws, cut.noise)
    whole, less = (G.image(G.run(state, 3, G.num_layers)) for state in (cut, bare))
    assert not torch.allclose(whole, less, atol=0.01)


def test_a_batch_of_two_is_two_batches_of_one() -> None:
    G = generator()
    pair = G(G.sample([5, 6]))
    for i, seed in enumerate((5, 6)):
        torch.testing.assert_close(pair[i : i + 1], G(G.sample([seed])), atol=1e-5, rtol=0)
    assert (pair[0] - pair[1]).abs().mean() > 0.01


def test_bfloat16_blocks_stay_near_float32() -> None:
    G, fast = generator(), generator(precision=torch.bfloat16)
    start = G.start_from_styles(styles(G))
    exact, near = (model.run(start, 0, model.num_layers) for model in (G, fast))
    assert near.h is not None and near.h.dtype == torch.bfloat16
    error = (G.image(exact) - G.image(near)).abs()
    assert 0 < error.mean() < 1e-2


def test_whitened_codes_invert_and_are_nearly_standard() -> None:
    G = generator()
    w = G.mapping(gaussian_by_seed(range(2000), (6,)))
    z = G.whiten(w)
    torch.testing.assert_close(G.styles(z), w, atol=1e-5, rtol=1e-4)
    assert z.mean().abs() < 0.05 and abs(z.std() - 1) < 0.05


def test_truncation_moves_styles_to_their_mean() -> None:
    G = generator()
    w = G.mapping(gaussian_by_seed([0, 1], (6,)))
    mean = G.get_buffer("mapping_mean")
    assert torch.equal(G.truncate(w), G.truncate(w, 1.0, cutoff=3))
    torch.testing.assert_close(G.truncate(w, 0.0)[0], mean.expand(G.num_ws, -1))
    cut = G.truncate(w, 0.5, cutoff=4)
    torch.testing.assert_close(cut[:, 0], (w + mean) / 2)
    assert torch.equal(cut[:, 4:], G.truncate(w)[:, 4:])
    assert not G.sample([3], truncation=0).any()


def test_noise_maps_are_fixed_random_absent_or_given() -> None:
    tensors = layout().random_tensors(seed=0)
    G = StyleGAN2(tensors)
    silent = StyleGAN2({k: 0 * v if k.endswith("strength") else v for k, v in tensors.items()})
    ws = styles(G, 1)

    def draw(model: StyleGAN2, noise=None) -> Tensor:
        return model.image(model.run(model.start_from_styles(ws, noise), 0, model.num_layers))

    assert torch.equal(draw(G), draw(G, G.noise_maps("const")))
    assert torch.equal(draw(G, G.noise_maps("none")), draw(silent))
    assert not torch.allclose(draw(G), draw(silent), atol=0.01)
    pair, single = G.noise_maps("random", [7, 8]), G.noise_maps("random", [8])
    assert all(torch.equal(a[1:], b) for a, b in zip(pair, single, strict=True))
    assert not torch.allclose(draw(G, single), draw(G), atol=0.01)
    assert [n.shape[-1] for n in single] == [4, 8, 8, 16, 16, 32, 32, 64, 64]


def test_weights_without_noise_have_no_maps() -> None:
    G = StyleGAN2(layout(noise=False).random_tensors(0))
    assert G.noise_maps() == () and G.start(G.sample([0])).noise == ()
    assert G(G.sample([0])).shape == (1, 3, 64, 64)


def test_weights_take_no_gradient() -> None:
    G = generator()
    assert not list(G.parameters())
    assert not any(buffer.requires_grad for buffer in G.buffers())


@settings(max_examples=30, deadline=None)
@given(
    channels=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
    mapping=st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple),
    output=st.sampled_from(["skip", "resnet", "orig"]),
    noise=st.booleans(),
    colours=st.integers(1, 4),
    classes=st.integers(0, 3),
    conv_clamp=st.sampled_from([None, 0.5]),
    cut=st.floats(0, 1),
)
def test_cuts_of_any_generator_recompose_exactly(
    channels, mapping, output, noise, colours, classes, conv_clamp, cut
) -> None:
    embedding = 2 if classes else 0
    drawn = Layout(channels, 5, mapping, output, noise, classes, embedding, colours)
    label = classes - 1 if classes else None
    G = StyleGAN2(drawn.random_tensors(0), conv_clamp=conv_clamp, label=label)
    z = torch.randn(2, *G.latent_shape, generator=torch.Generator().manual_seed(0))
    state = G.start(z)
    whole = G.image(G.run(state, 0, G.num_layers))
    assert whole.shape == (2, *G.img_size) and whole.isfinite().all()
    place = round(cut * G.num_layers)
    assert torch.equal(G.image(G.run(G.run(state, 0, place), place, G.num_layers)), whole)


@pytest.mark.parametrize("channels", [(4,), (3, 5), (4, 4, 4, 4, 4, 2)])
def test_any_power_of_two_and_any_widths(channels: tuple[int, ...]) -> None:
    G = StyleGAN2(layout(channels=channels).random_tensors(0))
    size = 2 ** (len(channels) + 1)
    assert (G.resolution, G.num_layers) == (size, len(channels))
    assert G.latent_shape == (2 * len(channels), 8)
    assert G(G.sample([0])).shape == (1, 3, size, size)


def test_a_class_must_be_given_and_matters() -> None:
    tensors = layout(num_classes=3, embedding=5).random_tensors(0)
    with pytest.raises(InputError, match="one of 3 classes; give a label from 0 to 2"):
        StyleGAN2(tensors)
    with pytest.raises(InputError, match="label 3 does not exist"):
        StyleGAN2(tensors, label=3)
    with pytest.raises(InputError, match="label 0 does not exist"):
        generator(label=0)
    first, last = StyleGAN2(tensors, label=0), StyleGAN2(tensors, label=2)
    gaussian = gaussian_by_seed([0], (6,))
    one_hot = torch.tensor([[0.0, 0, 1]])
    assert torch.equal(first.mapping(gaussian, one_hot), last.mapping(gaussian))
    assert not torch.allclose(first.mapping(gaussian), last.mapping(gaussian), atol=0.01)


def test_doubling_keeps_constants_away_from_the_border() -> None:
    doubled = modulation.double(torch.ones(1, 2, 5, 5), modulation.binomial_filter())
    torch.testing.assert_close(doubled[..., 1:-1, 1:-1], torch.ones(1, 2, 8, 8))


def test_doubling_is_the_adjoint_of_blurring_and_keeping_every_second_pixel() -> None:
    random = torch.Generator().manual_seed(0)
    small, large = (torch.randn(1, 2, n, n, generator=random) for n in (5, 10))
    blur = modulation.binomial_filter()
    kept = F.conv2d(large, blur.expand(2, 1, 4, 4), stride=2, padding=1, groups=2)
    one = (modulation.double(small, blur) * large).sum()
    torch.testing.assert_close(one, (small * kept).sum(), atol=1e-4, rtol=1e-4)


def test_wrong_tensors_are_named() -> None:
    tensors = layout().random_tensors(0)
    for name in ("16.conv0.weight", "8.rgb.style.bias", "mapping.1.bias", "64.conv1.strength"):
        with pytest.raises(InputError, match=f"lacks the tensor '{name}'"):
            StyleGAN2({k: v for k, v in tensors.items() if k != name})
        with pytest.raises(InputError, match=f"'{name}' has shape"):
            StyleGAN2(tensors | {name: torch.zeros(2, 1, 1, 1, 1)})
    with pytest.raises(InputError, match="unknown tensor '8.conv2.weight'"):
        StyleGAN2(tensors | {"8.conv2.weight": torch.zeros(1)})
    with pytest.raises(InputError, match="4x2 px, but only square images"):
        StyleGAN2(tensors | {"constant": torch.zeros(1, 8, 4, 2)})


@pytest.fixture(scope="module", params=sorted(BOUND))
def published(request: pytest.FixtureRequest):
    """A small published-format generator and the arrays that the original code gave for it."""
    if not FIXTURES.is_dir():
        pytest.skip("there is no folder of fixtures")
    label = 0 if "cond" in request.param else None
    G = load_generator(FIXTURES / f"{request.param}.pkl", label=label)
    assert isinstance(G, StyleGAN2)
    return G, read_arrays(request.param), BOUND[request.param]


def read_arrays(name: str) -> dict[str, Tensor]:
    arrays = np.load(FIXTURES / f"{name}.npz", allow_pickle=False)
    return {k: torch.from_numpy(arrays[k]) for k in arrays if not k.startswith("param")}


def error(a: Tensor | None, b: Tensor) -> float:
    assert a is not None and a.shape == b.shape
    return float((a - b).abs().max())


def test_styles_equal_the_original(published) -> None:
    G, arrays, _ = published
    w = G.mapping(arrays["z"], arrays.get("c"))
    assert error(G.truncate(w), arrays["w"]) < 2e-5
    assert error(G.truncate(w, 0.7), arrays["w_07"]) < 2e-5
    assert error(G.truncate(w, 0.7, cutoff=4), arrays["w_07_cutoff4"]) < 2e-5


def test_images_equal_the_original(published) -> None:
    G, arrays, bound = published
    silent = G.noise_maps("none")
    cases = [("w", "img", None), ("w", "img_nonoise", silent), ("w_07", "img_07", None)]
    for ws, x, noise in [*cases, ("ws_mix", "img_mix", None)]:
        state = G.run(G.start_from_styles(arrays[ws], noise), 0, G.num_layers)
        assert error(state.rgb, arrays[x]) < bound, x


def test_every_block_equals_the_original(published) -> None:
    G, arrays, bound = published
    for index, (_, state) in enumerate(pairwise(states(G, G.start_from_styles(arrays["w"])))):
        size = 4 * 2**index
        assert error(state.h, arrays[f"x_b{size}"]) < bound
        if G.layout.output == "skip" or index == G.num_layers - 1:
            assert error(state.rgb, arrays[f"img_b{size}"]) < bound
