import zipfile
from pathlib import Path

import openvino
import pytest
import torch
from torch import Tensor

from interlayer.generators import MobileStyleGAN
from interlayer.generators.base import gaussian_by_seed


@pytest.fixture(scope="module")
def published(faces_wheel: Path, tmp_path_factory: pytest.TempPathFactory):
    """The two published models, run by OpenVINO in float32: a function (model, input) -> output."""
    folder = tmp_path_factory.mktemp("models")
    with zipfile.ZipFile(faces_wheel) as archive:
        archive.extractall(folder)
    core = openvino.Core()

    def run(model: str, value: Tensor) -> Tensor:
        path = folder / "random_face" / "data" / f"{model}.xml"
        compiled = core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return torch.from_numpy(compiled([value.numpy()])[0].copy())

    return run


@torch.no_grad()
def test_it_equals_the_published_models(faces: MobileStyleGAN, published) -> None:
    for seed in (0, 1):
        gaussian = gaussian_by_seed([seed], (512,))
        w = published("MappingNetwork", gaussian)
        torch.testing.assert_close(faces.mapping(gaussian), w, atol=1e-4, rtol=0)
        z = faces.whiten(w)[:, None].expand(-1, faces.num_ws, -1)
        ours = faces.run(faces.start(z), 0, faces.num_layers).h
        assert ours is not None
        theirs = published("SynthesisNetwork", w)
        assert theirs.std() > 0.2
        assert (ours - theirs).abs().max() < 1e-3


@torch.no_grad()
def test_every_cut_recomposes_exactly(faces: MobileStyleGAN) -> None:
    states = [faces.start(faces.sample([0]))]
    for layer in range(faces.num_layers):
        states.append(faces.layer(layer, states[-1]))
    whole = faces.image(states[-1])
    assert whole.shape == (1, 3, 1024, 1024) and whole.std() > 0.1
    for cut, state in enumerate(states):
        assert torch.equal(faces.image(faces.run(state, cut, faces.num_layers)), whole)


@torch.no_grad()
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_an_image_is_the_same_to_the_bit_in_any_batch(
    faces: MobileStyleGAN, monkeypatch: pytest.MonkeyPatch, precision: torch.dtype
) -> None:
    monkeypatch.setattr(faces, "precision", precision)
    z = faces.sample([0, 1])
    pair = faces(z)
    for i in range(2):
        assert torch.equal(pair[i : i + 1], faces(z[i : i + 1]))
    assert (pair[0] - pair[1]).abs().mean() > 0.05


@torch.no_grad()
def test_half_the_bits_make_nearly_the_same_face(
    faces: MobileStyleGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = faces(faces.sample([0]))
    monkeypatch.setattr(faces, "precision", torch.bfloat16)
    assert 0 < (faces(faces.sample([0])) - exact).abs().mean() < 5e-3


@torch.no_grad()
def test_whitened_codes_are_nearly_standard_and_invert(faces: MobileStyleGAN) -> None:
    w = faces.mapping(gaussian_by_seed(range(2000), (512,)))
    z = faces.whiten(w)
    torch.testing.assert_close(faces.styles(z), w, atol=1e-5, rtol=1e-4)
    assert z.mean().abs() < 0.02 and abs(z.std() - 1) < 0.05


@torch.no_grad()
def test_truncation_zero_is_the_mean_face(faces: MobileStyleGAN) -> None:
    assert not faces.sample([3], truncation=0).any()
    assert torch.equal(faces.sample([3], 0.5), 0.5 * faces.sample([3]))


@torch.no_grad()
def test_given_noise_maps_replace_the_fixed_ones(faces: MobileStyleGAN) -> None:
    start = faces.start(faces.sample([0]))
    fixed = faces.start(faces.sample([0]), noise=start.noise)
    silent = faces.start(faces.sample([0]), noise=[torch.zeros_like(n) for n in start.noise])
    small = [faces.run(state, 0, 4).h for state in (start, fixed, silent)]
    assert all(h is not None for h in small)
    assert torch.equal(small[0], small[1]) and not torch.equal(small[0], small[2])  # type: ignore[arg-type]
