from pathlib import Path

import pytest
import torch

from interlayer.errors import InputError
from interlayer.generators import base
from interlayer.generators.base import Generator
from interlayer.generators.mobilestylegan import MobileStyleGAN
from interlayer.weights import cache, loading, table


def test_other_files_and_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"not tensors")
    with pytest.raises(InputError, match="x.safetensors: the file is no generator"):
        loading.load(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="no generator .cats.; give faces, faces64 or the file"):
        loading.load("cats")


def test_weights_of_another_network_are_no_generator(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path))
    with pytest.raises(InputError) as caught:
        loading.load("perceptual", note=pytest.fail)
    assert str(caught.value) == (
        f"'perceptual' is {table.PERCEPTUAL.summary}, and no generator; "
        "give faces, faces64 or the file of a generator"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("by_file", [False, True])
def test_the_faces_load_without_measuring(faces: Generator, monkeypatch, by_file: bool) -> None:
    monkeypatch.setattr(base, "measure_statistics", lambda _: pytest.fail("measured layers"))
    monkeypatch.setattr(MobileStyleGAN, "measure_latent", lambda _: pytest.fail("measured codes"))
    path = cache.cache_folder() / table.FACES.file
    generator = loading.load(path if by_file else "faces", note=pytest.fail)
    assert isinstance(generator, MobileStyleGAN)
    assert (generator.num_layers, generator.resolution) == (9, 1024)
    assert generator.name == (path.stem if by_file else "faces")
    for layer in range(1, 9):
        std = generator.statistics(layer).std
        assert std.shape[1:] == (1, 1) and (std > 0).all()
    torch.testing.assert_close(generator.state_dict(), faces.state_dict())
