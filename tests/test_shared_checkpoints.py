"""Checkpoints as people share them: the same weights in many wrappings, or a telling refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from interlayer import InputError
from interlayer.generators.layout import Layout
from interlayer.generators.stylegan2 import StyleGAN2
from interlayer.weights.checkpoints import load_generator

from .checkpoint_files import nvidia_pickle, nvidia_tensors, rosinality_state, small_tensors
from .test_hostile_cases import CASES, needs_cases


def prefixed(tensors: dict, prefix: str) -> dict:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def bare() -> dict:
    return rosinality_state(small_tensors())["g_ema"]


WRAPPINGS: dict[str, Callable[[], Any]] = {
    "bare": bare,
    "g_ema": lambda: {"g_ema": bare()},
    "data parallel": lambda: {"g_ema": prefixed(bare(), "module.")},
    "g_running": lambda: {"g_running": bare()},
    "params_ema": lambda: {"params_ema": bare(), "params": {}},
    "state_dict": lambda: {"state_dict": bare()},
    "lightning": lambda: {"state_dict": prefixed(bare(), "generator."), "epoch": 3},
    "averaged beside": lambda: {
        "state_dict": prefixed({k: 0 * v for k, v in bare().items()}, "G.")
        | prefixed(bare(), "g_ema.")
    },
    "encoder": lambda: {
        "state_dict": prefixed(bare(), "decoder.") | {"encoder.body.0.weight": torch.ones(1)},
        "opts": {"output_size": 8},
    },
}


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    path = tmp_path_factory.mktemp("plain") / "g.pt"
    torch.save({"g_ema": bare()}, path)
    return drawn(path)


def drawn(path: Path) -> torch.Tensor:
    G = load_generator(path)
    return G(torch.zeros(1, *G.latent_shape))


@pytest.mark.parametrize("name", WRAPPINGS)
def test_the_same_weights_draw_the_same_picture_however_they_are_wrapped(name, tmp_path, picture):
    torch.save(WRAPPINGS[name](), tmp_path / "g.pt")
    torch.testing.assert_close(drawn(tmp_path / "g.pt"), picture)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_plain_safetensors_of_a_known_layout_are_read(kind, tmp_path, picture):
    save_file({k: v.to(kind).contiguous() for k, v in bare().items()}, tmp_path / "g.safetensors")
    bound = 1e-6 if kind == torch.float32 else 2e-2
    torch.testing.assert_close(drawn(tmp_path / "g.safetensors"), picture, atol=bound, rtol=0)


@pytest.mark.parametrize("colours", [1, 4])
def test_pictures_have_as_many_channels_as_the_weights(colours, tmp_path):
    layout = Layout((8, 6), z_dim=6, mapping=(10, 8), colours=colours)
    (tmp_path / "g.pkl").write_bytes(nvidia_pickle(nvidia_tensors(layout.random_tensors(0))))
    G = load_generator(tmp_path / "g.pkl")
    assert isinstance(G, StyleGAN2) and G.img_size == (colours, 8, 8)
    assert G(G.sample([0])).shape == (1, colours, 8, 8)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html><title>Virus scan</title></html>", "web page"),
        (b"\n<html>", "web page"),
    ],
)
def test_files_that_stand_for_others_are_named(content, sentence, tmp_path):
    (tmp_path / "g.pkl").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load_generator(tmp_path / "g.pkl")


@needs_cases
def test_the_shared_cases_are_right_or_refused():
    alike = [drawn(file) for file in sorted((CASES / "checkpoints").glob("ros*"))]
    assert len(alike) == 6
    for other in alike[1:]:
        torch.testing.assert_close(other, alike[0])
    drawn(CASES / "checkpoints" / "psp.pt")
    sentences = {"tf_stylegan2.pkl": "TensorFlow", "lucidrains.pt": "lucidrains"}
    sentences |= {"lfs.pkl": "Git LFS", "gdrive.pkl": "web page"}
    for name, sentence in sentences.items():
        with pytest.raises(InputError, match=sentence):
            load_generator(CASES / "checkpoints" / name)
    for name, channels in {"nv_grey.pkl": 1, "nv_rgba.pkl": 4}.items():
        assert load_generator(CASES / "checkpoints" / name).channels == channels
