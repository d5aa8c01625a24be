import io
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from interlayer.generators.base import Generator
from interlayer.weights import cache, converters, table


def test_perceptual_weights_are_numbered_as_they_are_applied(tmp_path: Path) -> None:
    """Modules 2 and 10 of a trunk: their numbers order them, not their names."""
    state = {f"lin{n}.model.1.weight": torch.full((1, 2, 1, 1), float(n)) for n in range(5)}
    for layer, value in (("slice4.10", 1.0), ("slice1.2", 0.0)):
        state[f"net.{layer}.weight"] = torch.full((2, 2, 3, 3), value)
        state[f"net.{layer}.bias"] = torch.full((2,), value)
    state["net.slice2.5.filt"] = torch.ones(2, 1, 3, 3)
    wheel = tmp_path / "stlpips.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for trunk in ("alex", "vgg"):
            packed = io.BytesIO()
            torch.save(state, packed)
            name = f"stlpips_pytorch/weights/vST0.0/{trunk}_shift_tolerant.pth"
            archive.writestr(name, packed.getvalue())
    tensors = converters.perceptual_from_wheel(wheel)
    names = [f"conv{n}.{part}" for n in range(2) for part in ("weight", "bias")]
    names += [f"head{n}" for n in range(5)]
    assert list(tensors) == [f"{trunk}.{name}" for trunk in ("alex", "vgg") for name in names]
    for number in range(2):
        assert (tensors[f"vgg.conv{number}.weight"] == number).all()
    assert tensors["alex.head3"].tolist() == [3, 3]


def test_the_faces_wheel_converts_to_what_is_cached(faces: Generator, faces_wheel: Path) -> None:
    tensors = converters.faces_from_wheel(faces_wheel)
    cached = load_file(cache.cache_folder() / table.FACES.file)
    assert {key for key in cached if not key.startswith("statistics.")} == set(tensors)
    for key, value in tensors.items():
        torch.testing.assert_close(cached[key], value)
