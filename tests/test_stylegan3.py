"""StyleGAN3 against what NVIDIA's code gives, its design, its cuts and its pose."""

import json
import math
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interlayer import InputError, Latent, Layer, Method, Stage, iterate, reconstruct
from interlayer.app import cli
from interlayer.generators import ToyGenerator
from interlayer.generators.base import LayerState, draw_truths
from interlayer.generators.resampling import Banded, downsampling, upsampling
from interlayer.generators.stylegan3 import StyleGAN3
from interlayer.generators.stylegan3_layout import StyleGAN3Layout
from interlayer.problem import measure
from interlayer.solver import GeneratorPoint, Settings
from interlayer.weights import loading
from interlayer.weights.checkpoints import convert, load_generator, read_checkpoint
from interlayer.weights.converted import write_converted

FIXTURES = Path(__file__).parents[2] / "shared" / "fixtures"
BOUND = 5e-5
SMALL = StyleGAN3Layout(32, depth=6, base=128, widest=16, z_dim=8, w_dim=8)
fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="the fixtures are not here")


def small(rotation: bool = False, seed: int = 0) -> StyleGAN3:
    layout = replace(SMALL, rotation=rotation)
    return StyleGAN3(layout.random_tensors(seed))


@fixtures
@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize("name", ["sg3_t_32", "sg3_r_32"])
def test_every_activation_is_that_of_the_published_code(name, converted, tmp_path):
    source = FIXTURES / f"{name}.pkl"
    if converted:
        convert(source, tmp_path / "g.safetensors")
        source = tmp_path / "g.safetensors"
    G = load_generator(source)
    assert (G.resolution, G.channels) == (32, 3) and isinstance(G, StyleGAN3)
    arrays = np.load(FIXTURES / f"{name}.npz")

    def close(found: torch.Tensor, key: str) -> None:
        expected = torch.from_numpy(arrays[key]).float()
        torch.testing.assert_close(found, expected, atol=BOUND, rtol=0, msg=key)

    w = G.mapping(torch.from_numpy(arrays["z"]).float())
    close(G.truncate(w), "w")
    close(G.truncate(w, 0.7), "w_07")
    close(G.truncate(w, 0.7, 4), "w_07_cutoff4")
    layers = [key for key in arrays if key.startswith("x_L")]
    state = G.layer(0, G.start_from_styles(torch.from_numpy(arrays["w"]).float()))
    for index, key in enumerate(["x_input", *sorted(layers)], start=1):
        state = G.layer(index, state)
        assert state.h is not None
        close(state.h, key)
    for ws, key in (("w", "img"), ("w_07", "img_07"), ("ws_mix", "img_mix")):
        begun = G.start_from_styles(torch.from_numpy(arrays[ws]).float())
        close(2 * G.image(G.run(begun, 0, G.num_layers)) - 1, key)


@fixtures
@pytest.mark.parametrize(("name", "rotation"), [("sg3_t_32", False), ("sg3_r_32", True)])
def test_the_design_is_the_papers(name, rotation):
    tensors = read_checkpoint(FIXTURES / f"{name}.pkl").load()
    layout = StyleGAN3Layout(32, rotation, depth=6, base=128, widest=32)
    assert [band.channels for band in layout.bands] == [32, 19, 11, 7, 4, 4, 3]
    for key, expected in layout.filters_and_plans().items():
        torch.testing.assert_close(tensors[key], expected, atol=1e-6, rtol=0, msg=key)


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("padding", [(0, 0), (9, 8), (-3, -4)])
def test_a_banded_matrix_is_zero_insertion_and_a_filter(factor, padding):
    x = torch.randn(2, 3, 20, 20, dtype=torch.float64).requires_grad_()
    line = torch.rand(6 * factor, dtype=torch.float64)
    spread = torch.zeros(2, 3, 20 * factor, 20 * factor, dtype=torch.float64)
    spread[:, :, ::factor, ::factor] = x
    spread = torch.nn.functional.pad(spread, padding * 2)
    plane = torch.outer(line, line).flip(0, 1).expand(3, 1, -1, -1)
    expected = torch.nn.functional.conv2d(spread, factor**2 * plane, groups=3)
    found = Banded(upsampling(20, line.float(), factor, padding), x)(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    shorter = Banded(downsampling(20, line[:6].float(), factor), x)
    plane = torch.outer(line[:6], line[:6]).flip(0, 1).expand(3, 1, -1, -1)
    plain = torch.nn.functional.conv2d(x, plane, groups=3, stride=factor)
    torch.testing.assert_close(shorter(x), plain, atol=1e-5, rtol=1e-5)
    assert torch.autograd.gradcheck(shorter, x)


@settings(max_examples=15, deadline=None)
@given(
    size=st.sampled_from([16, 32, 64]),
    rotation=st.booleans(),
    depth=st.integers(3, 9),
    widest=st.integers(1, 12),
    colours=st.integers(1, 4),
    mapping=st.integers(1, 3),
    seed=st.integers(0, 99),
    cut=st.floats(0, 1),
)
def test_cuts_recompose_exactly(size, rotation, depth, widest, colours, mapping, seed, cut):
    layout = StyleGAN3Layout(
        size, rotation, depth, 8 * size, widest, 8, 6, mapping=mapping, colours=colours
    )
    G = StyleGAN3(layout.random_tensors(seed))
    state = G.start(G.sample([seed, seed + 1]))
    whole = G.image(G.run(state, 0, G.num_layers))
    assert whole.shape == (2, colours, size, size) and whole.isfinite().all()
    place = round(cut * G.num_layers)
    part = G.run(state, 0, place)
    carried = LayerState(h=part.h, ws=part.ws)
    assert torch.equal(G.image(G.run(carried, place, G.num_layers)), whole)


def test_a_class_and_a_clamp_are_obeyed():
    tensors = SMALL.random_tensors(0)
    tensors["mapping.0.weight"] = torch.randn(8, 8 + 4)
    tensors |= {"mapping.embed.weight": torch.randn(4, 3), "mapping.embed.bias": torch.randn(4)}
    with pytest.raises(InputError, match="give a label from 0 to 2"):
        StyleGAN3(tensors)
    first, second = (StyleGAN3(tensors, label=label) for label in (0, 1))
    assert (first(first.sample([0])) - second(second.sample([0]))).abs().max() > 1e-3
    z = first.sample([0])
    clamped = StyleGAN3(tensors, label=0, conv_clamp=0.05)
    state = clamped.run(clamped.start(z), 0, clamped.num_layers)
    assert state.h is not None and state.h.abs().max() <= 0.05


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"L1.bias": None}, "lacks the tensor 'L1.bias'"),
        ({"L0.bias": torch.zeros(3)}, "'L0.bias' has shape 3 instead of 16"),
        ({"extra": torch.zeros(1)}, "unknown tensor 'extra'"),
        ({"L0.weight": torch.zeros(2)}, "no kernels"),
    ],
)
def test_other_tensors_are_refused(change, sentence):
    tensors = SMALL.random_tensors(0) | change
    with pytest.raises(InputError, match=sentence):
        StyleGAN3({name: tensor for name, tensor in tensors.items() if tensor is not None})


def posed(G: StyleGAN3, z: torch.Tensor, pose: tuple[float, float, float]) -> torch.Tensor:
    """The picture at a pose: its shift in widths and its rotation in radians."""
    point = GeneratorPoint(z, torch.tensor([pose]), None, 1)
    return point.image(G)


def test_a_shift_moves_the_picture_by_pixels():
    G = small()
    z = G.sample([3])
    moved = posed(G, z, (3 / 32, -2 / 32, 0.0))
    inner = posed(G, z, (0.0, 0.0, 0.0))[..., 10:22, 10:22]
    contrast = inner.std().item()
    assert (moved[..., 8:20, 13:25] - inner).abs().mean() < 0.05 * contrast


def test_a_quarter_turn_turns_the_picture_anticlockwise():
    G = small(rotation=True)
    z = G.sample([3])
    straight, turned = (posed(G, z, (0.0, 0.0, a)) for a in (0.0, math.pi / 2))
    expected = straight.rot90(1, (2, 3))[..., 8:24, 8:24]
    assert (turned[..., 8:24, 8:24] - expected).abs().mean() < 0.05 * straight.std()


def test_the_pose_of_a_picture_is_found():
    layout = replace(SMALL, resolution=64, rotation=True, base=256)
    tensors = layout.random_tensors(0)
    tensors["input.style.weight"] *= 0  # a code that turns the picture too could take its place
    G = StyleGAN3(tensors)
    z, (right, down, degrees) = G.sample([3]), (0.08, -0.05, 7.0)
    x = posed(G, z, (right, down, math.radians(degrees)))
    problem = measure(x, "denoise:0.02", seed=0)
    method = Method("place", (Stage(Layer(1), 80, 0.1),))
    start = GeneratorPoint(z, torch.zeros(1, 3), None, 1)
    solution = deque(iterate(problem, G, method, Settings(start=start)), maxlen=1)[0].solution()
    assert solution.point is not None and solution.point.h is not None
    found = solution.point.h[0]
    assert abs(found[0] - right) * 64 < 0.5 and abs(found[1] - down) * 64 < 0.5
    assert abs(math.degrees(found[2]) - degrees) < 0.5


def test_the_command_line_draws_inspects_and_places(monkeypatch, capsys, tmp_path):
    path, out = tmp_path / "g.safetensors", tmp_path / "out"
    metadata = {"architecture": "stylegan3", "settings": '{"conv_clamp": 256}'}
    write_converted(path, SMALL.random_tensors(0), metadata)

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["interlayer", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), capsys.readouterr().out

    status, described = run("inspect", path)
    assert status == 0 and "configuration T, 7 layers of widths 16, 16, 11, 7, 4, 4, 3" in described
    flags = ("--generator", path, "--task", "inpaint:0.5", "--steps", 20, "--out", out)
    assert run("recover", "sample:astronaut", *flags, "--method", "ilo", "--unaligned")[0] == 0
    result = json.loads((out / "astronaut" / "result.json").read_text())
    assert [stage["layer"] for stage in result["stages"]][:2] == [0, 1]
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: ToyGenerator())
    assert run("recover", "sample:astronaut", *flags, "--unaligned")[0] == 2


@pytest.mark.parametrize("rotation", [False, True])
@pytest.mark.parametrize("method", ["ilo", "auto"])
def test_methods_recover_with_random_weights(rotation, method):
    G = small(rotation)
    x = draw_truths(G, [0])
    problem = measure(x, "inpaint:0.3", seed=0)
    solution = deque(reconstruct(problem, G, method, steps=60), maxlen=1)[0].solution()
    grey = (x.mean() - x).square().mean()
    assert (solution.x_hat - x).square().mean() < 0.5 * grey


def test_a_stage_with_codes_of_its_own_begins_before_the_pose():
    G = small()
    x = draw_truths(G, [1])
    stages = (Stage(Latent("tied"), 10, 0.1), Stage(Layer(1), 10, 0.05), Stage(Layer(2, 0.1), 10))
    problem = measure(x, "inpaint:0.5", seed=0)
    solution = deque(iterate(problem, G, Method("mine", stages)), maxlen=1)[0].solution()
    assert [record.layer for record in solution.stages][:3] == [0, 1, 2]
    assert solution.stages[1].loss < solution.stages[0].loss
