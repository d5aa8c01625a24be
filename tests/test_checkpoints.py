import gzip
import io
import os
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.base import Generator, gaussian_by_seed
from interlayer.generators.layout import Output
from interlayer.generators.stylegan2 import StyleGAN2
from interlayer.weights import torch_files
from interlayer.weights.cache import cache_folder, load_tensors
from interlayer.weights.checkpoints import (
    convert,
    inspect,
    load_generator,
    read_checkpoint,
    self_test,
)
from interlayer.weights.converted import FORMAT
from interlayer.weights.loading import load
from interlayer.weights.pickles import Name, Record, read_pickle
from interlayer.weights.stylegan2_files import collect
from interlayer.weights.table import WEIGHTS
from interlayer.weights.torch_files import LazyTensor, TorchFile

from .checkpoint_files import (
    claimed_tensor,
    nvidia_pickle,
    nvidia_tensors,
    rosinality_state,
    saved,
    small_tensors,
)

FIXTURES = Path(
    os.environ.get("INTERLAYER_FIXTURES", Path(__file__).parents[2] / "shared" / "fixtures")
)
MARKER = Path(tempfile.gettempdir()) / "interlayer_pwned"
HOSTILE = ["evil_reduce.pkl", "evil_nested_storage.pkl", "evil_zip.pt"]
BROKEN = ["truncated.pkl", "not_a_checkpoint.pt", "wrong_keys.pt", "rosinality_16.pt.gz"]
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="no folder of fixtures")


def written(folder: Path, content: bytes, name: str = "file.bin") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-6)


def refusal(path: Path, **settings) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InputError) as caught:
        load_generator(path, **settings)
    message = str(caught.value)
    assert message.startswith(f"{path.name}: ") and "\n" not in message and len(message) < 300
    return message


@pytest.mark.parametrize("output", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("clamp", [None, 256])
def test_nvidia_pickles_are_read(tmp_path: Path, output: Output, clamp: int | None) -> None:
    tensors = small_tensors(output=output)
    path = written(tmp_path, nvidia_pickle(nvidia_tensors(tensors), clamp))
    checkpoint = read_checkpoint(path)
    assert checkpoint.conv_clamp == clamp
    assert_same(checkpoint.load(), tensors)
    G = load_generator(path)
    expected = StyleGAN2(tensors, conv_clamp=clamp)
    torch.testing.assert_close(G(G.sample([0])), expected(expected.sample([0])), atol=1e-4, rtol=0)


@pytest.mark.parametrize("legacy", [False, True])
def test_rosinality_files_are_read(tmp_path: Path, legacy: bool) -> None:
    tensors = small_tensors()
    path = written(tmp_path, saved(rosinality_state(tensors), legacy))
    assert_same(read_checkpoint(path).load(), tensors)


def test_a_network_without_noise_maps_or_mean_style_is_read(tmp_path: Path) -> None:
    tensors = {k: v for k, v in small_tensors().items() if k != "mapping.mean"}
    state = rosinality_state(tensors)
    state["g_ema"] = {k: v for k, v in state["g_ema"].items() if not k.startswith("noises.")}
    G = load_generator(written(tmp_path, saved(state)))
    assert isinstance(G, StyleGAN2) and not G.layout.noise
    assert G.get_buffer("mapping_mean").shape == (4,)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_float_types_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    state = rosinality_state(small_tensors())
    state["g_ema"] = {k: v.to(dtype) for k, v in state["g_ema"].items()}
    loaded = read_checkpoint(written(tmp_path, saved(state))).load()
    assert {v.dtype for v in loaded.values()} == {torch.float32}
    torch.testing.assert_close(
        loaded["8.conv0.weight"], small_tensors()["8.conv0.weight"], atol=1e-3, rtol=1e-3
    )


def test_views_of_a_shared_storage_are_read(tmp_path: Path) -> None:
    state = rosinality_state(small_tensors())
    state["g_ema"] = {
        k: torch.stack([v, v + 1], -1)[..., 0] if v.ndim == 2 else v
        for k, v in state["g_ema"].items()
    }
    assert not state["g_ema"]["style.1.weight"].is_contiguous()
    assert_same(read_checkpoint(written(tmp_path, saved(state))).load(), small_tensors())


def test_a_class_must_be_given(tmp_path: Path) -> None:
    tensors = small_tensors(num_classes=4, embedding=4)
    path = written(tmp_path, nvidia_pickle(nvidia_tensors(tensors)))
    assert "one of 4 classes" in refusal(path)
    assert load_generator(path, label=3).sample([0]).shape == (1, 6, 4)
    assert "classes 4" in str(inspect(path))


def test_converting_keeps_every_value(tmp_path: Path) -> None:
    source = written(
        tmp_path, nvidia_pickle(nvidia_tensors(small_tensors()), clamp=2.5), "ours.pkl"
    )
    target = tmp_path / "ours.safetensors"
    convert(source, target)
    before, after = load_generator(source), load_generator(target)
    assert torch.equal(before(before.sample([0, 1])), after(after.sample([0, 1])))
    assert isinstance(after, StyleGAN2) and after.conv_clamp == 2.5
    for layer in (1, 2):
        assert torch.equal(before.statistics(layer).std, after.statistics(layer).std)
    with safe_open(target, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["architecture"] == "stylegan2" and metadata["resolution"] == "16"
    assert metadata["licence"] == "the terms of ours.pkl hold"
    convert(target, tmp_path / "again.safetensors", licence="CC0-1.0")
    again = load_file(tmp_path / "again.safetensors")
    assert_same(again, load_file(target))
    assert "CC0-1.0" in str(inspect(tmp_path / "again.safetensors"))


def test_inspecting_loads_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, nvidia_pickle(nvidia_tensors(small_tensors()), clamp=256))

    def load(lazy: LazyTensor) -> Tensor:
        assert lazy.shape == (4, 4), "only resampling filters may be looked at"
        return original(lazy)

    original = LazyTensor.load
    monkeypatch.setattr(LazyTensor, "load", load)
    text = str(inspect(path))
    assert "16x16 px" in text and "widths 6, 4, 3" in text and "conv_clamp 256" in text


def test_the_extension_does_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path, nvidia_pickle(nvidia_tensors(small_tensors())), "net.safetensors")
    convert(path, tmp_path / "net.pkl")
    assert inspect(path).source == "an NVIDIA pickle"
    assert inspect(tmp_path / "net.pkl").source == "a converted file"


def without(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {k: v for k, v in tensors.items() if k != name}


def test_wrong_tensors_are_named_as_the_file_names_them(tmp_path: Path) -> None:
    good = nvidia_tensors(small_tensors())
    cases = [
        (
            without(good, "synthesis.b8.conv0.affine.bias"),
            "lacks the tensor 'synthesis.b8.conv0.aff",
        ),
        (good | {"synthesis.b8.extra": torch.zeros(2)}, "unknown tensor 'synthesis.b8.extra'"),
        (good | {"mapping.fc1.bias": torch.zeros(9)}, "'mapping.fc1.bias' has shape 9 instead of"),
        (good | {"synthesis.b8.conv0.resample_filter": torch.ones(4, 4)}, "not the filter"),
        (good | {"synthesis.b4.const": torch.zeros(6, 4, 2)}, "grows from 4x2 px"),
        (good | {"synthesis.b12.conv1.bias": torch.zeros(2)}, "a block of 12 px"),
        (good | {"synthesis.b8.conv0.weight": torch.full((4, 6, 3, 3), torch.nan)}, "not finite"),
    ]
    for tensors, message in cases:
        assert message in refusal(written(tmp_path, nvidia_pickle(tensors)))
    state = rosinality_state(small_tensors())
    del state["g_ema"]["convs.1.noise.weight"]
    assert "lacks the tensor 'convs.1.noise.weight'" in refusal(written(tmp_path, saved(state)))


def test_other_networks_are_told_apart(tmp_path: Path) -> None:
    discriminator = {"b8.fromrgb.weight": torch.zeros(4, 3, 1, 1), "b4.out.bias": torch.zeros(1)}
    third = {"synthesis.input.freqs": torch.zeros(4, 2), "synthesis.L0_36_16.bias": torch.zeros(4)}
    cases = [
        (nvidia_pickle(discriminator, key="D"), "a discriminator alone"),
        (nvidia_pickle(discriminator), "a discriminator alone"),
        (saved({"d": {"final_linear.1.bias": torch.zeros(1)}}), "a discriminator alone"),
        (nvidia_pickle(third), "StyleGAN3"),
        (saved({"foo": torch.zeros(1)}), "no StyleGAN2 generator (tensors: 'foo')"),
        (saved(torch.zeros(3)), "no network"),
        (gzip.compress(b"anything"), "unpack it first"),
        (b"", "the file is no generator"),
        (bytes(range(256)), "the file is no generator"),
        (b"<?xml version='1.0'?><net/>", "MappingNetwork is not there"),
    ]
    for content, message in cases:
        assert message in refusal(written(tmp_path, content))
    assert "no such file" in refusal(tmp_path / "absent.pkl")


def test_foreign_or_damaged_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    assert "holds no StyleGAN2 generator (tensors: 'a')" in refusal(path)
    convert(written(tmp_path, nvidia_pickle(nvidia_tensors(small_tensors()))), path)
    content = path.read_bytes()
    assert "damaged" in refusal(written(tmp_path, content[: len(content) // 2]))
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file(without(load_file(path), "constant"), path, metadata)
    assert "lacks the tensor 'constant'" in refusal(path)


@pytest.mark.parametrize("container", ["zip", "legacy", "nested"])
def test_claims_beyond_the_file_are_refused(tmp_path: Path, container: str) -> None:
    honest = claimed_tensor((2, 3), numel=6, held=6, container=container)
    assert "lacks the tensor 'input.input'" in refusal(written(tmp_path, honest))
    million = (10**6, 10**6)
    for shape, numel in ((million, 10**12), (million, 6), ((2, 4), 6), ((2, 3), 7)):
        bad = claimed_tensor(shape, numel, held=6, container=container)
        message = refusal(written(tmp_path, bad))
        assert "claim" in message, message


@pytest.mark.parametrize("legacy", [False, True])
def test_expanded_tensors_are_refused(tmp_path: Path, legacy: bool) -> None:
    state = rosinality_state(small_tensors())
    state["g_ema"]["style.1.weight"] = torch.zeros(1).expand(10**6, 10**6)
    message = refusal(written(tmp_path, saved(state, legacy)))
    assert "a tensor of shape (1000000, 1000000) is claimed" in message


def module_record(children: dict, **state) -> Record:
    """Record that a pickled module is read as."""
    return Record(Name("nets.Generator"), (), {"_modules": children, **state})


def test_work_does_not_grow_with_repetition() -> None:
    """A pickle may mention one thing many times; a dag of modules has exponentially many paths."""
    shared = module_record({})
    for _ in range(30):
        shared = module_record({"a": shared, "b": shared, "c": shared, "d": shared})
    wide = module_record({str(i): 0 for i in range(1000)})
    wide = module_record({str(i): wide for i in range(1000)})
    full = module_record({}, _buffers={str(i): 0 for i in range(1000)})
    full = module_record({str(i): full for i in range(1000)})
    for root in (shared, wide, full):
        with pytest.raises(InputError, match="too many modules|more than 100,000 tensors"):
            collect(TorchFile(root, lambda pid: pytest.fail("nothing is stored")), root)


def test_a_storage_mentioned_often_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    content = read_pickle(claimed_tensor((2, 3), numel=6, held=6, container="nested")).root
    view = content["g_ema"]["style.1.weight"]
    opened = []

    def open_once(raw: bytes):
        opened.append(raw)
        return original(raw)

    original = torch_files._nested_storage
    monkeypatch.setattr(torch_files, "_nested_storage", open_once)
    file = TorchFile(content, lambda pid: pytest.fail("nothing is stored outside"))
    assert all(file.tensor(view) is not None for _ in range(5))
    assert len(opened) == 1


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 2**5000, "256", [[]], ()])
def test_odd_plain_values_are_refused(tmp_path: Path, value) -> None:
    path = written(tmp_path, nvidia_pickle(nvidia_tensors(small_tensors()), clamp=value))
    assert "one positive bound conv_clamp" in refusal(path)


def zip_with(replace: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream, source = io.BytesIO(), io.BytesIO(saved(rosinality_state(small_tensors())))
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(stream, "w", compression) as bad:
        for entry in good.infolist():
            name = entry.filename.partition("/")[2]
            bad.writestr(f"x/{name}", replace.get(name, good.read(entry)))
    return stream.getvalue()


def test_odd_zip_archives_are_refused(tmp_path: Path) -> None:
    assert_same(read_checkpoint(written(tmp_path, zip_with({}))).load(), small_tensors())
    cases = [
        (zip_with({}, zipfile.ZIP_DEFLATED), "compressed"),
        (zip_with({"byteorder": b"big"}), "big-endian"),
        (zip_with({"data/0": b"\0\0\0\0"}), "values are claimed"),
        (zip_with({"data.pkl": b"\x80\x02."}), "damaged"),
        (zip_with({})[:-100], "damaged"),
    ]
    for content, message in cases:
        assert message in refusal(written(tmp_path, content))


def test_archives_that_claim_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    content = bytearray(zip_with({}))
    first = content.index(b"PK\x01\x02")
    content[first + 20 : first + 28] = struct.pack("<II", 2**31, 2**31)
    refusal(written(tmp_path, bytes(content)))


@pytest.mark.parametrize("kind", ["nvidia", "zip", "legacy"])
def test_truncated_files_are_refused(tmp_path: Path, kind: str) -> None:
    if kind == "nvidia":
        content = nvidia_pickle(nvidia_tensors(small_tensors()))
    else:
        content = saved(rosinality_state(small_tensors()), legacy=kind == "legacy")
    for part in np.linspace(1, len(content) - 1, 60).astype(int):
        refusal(written(tmp_path, content[:part]))


@needs_fixtures
@pytest.mark.parametrize("name", HOSTILE + BROKEN)
def test_hostile_and_broken_files_are_refused(name: str) -> None:
    refusal(FIXTURES / name)
    assert not MARKER.exists()


@needs_fixtures
def test_source_in_a_file_is_not_run() -> None:
    G = load_generator(FIXTURES / "evil_persistent.pkl")
    assert G(G.sample([0])).shape == (1, 3, 8, 8)
    assert not MARKER.exists()


@needs_fixtures
def test_a_linear_mapping_stays_linear_once_it_is_converted(tmp_path: Path) -> None:
    target = tmp_path / "linear.safetensors"
    convert(FIXTURES / "nv_ada_linear_map.pkl", target)
    arrays = np.load(FIXTURES / "nv_ada_linear_map.npz", allow_pickle=False)
    G = load_generator(target)
    assert isinstance(G, StyleGAN2)
    found = G.truncate(G.mapping(torch.from_numpy(arrays["z"])))
    torch.testing.assert_close(found, torch.from_numpy(arrays["w"]), atol=2e-5, rtol=0)


@needs_fixtures
@pytest.mark.parametrize("name", ["nv_ada_skip_32", "nv_ada_skip_64_clamp", "nv_ada_cond_32"])
def test_every_tensor_of_the_published_files_is_found(name: str) -> None:
    arrays = np.load(FIXTURES / f"{name}.npz", allow_pickle=False)
    filters = sum("filter" in parameter for parameter in arrays["param_names"])
    assert len(read_checkpoint(FIXTURES / f"{name}.pkl").shapes) == len(arrays["param_names"]) - (
        filters + 1  # the mean style is not among the shapes that must be there
    )


@pytest.fixture(scope="module", params=["rosinality_16", "rosinality_8_module"])
def rosinality(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Generator, dict[str, Tensor]]:
    """The published-format file of rosinality's code and the arrays that it gave."""
    if not FIXTURES.is_dir():
        pytest.skip("there is no folder of fixtures")
    content = gzip.decompress((FIXTURES / f"{request.param}.pt.gz").read_bytes())
    path = written(tmp_path_factory.mktemp("rosinality"), content)
    arrays = np.load(FIXTURES / f"{request.param}.npz", allow_pickle=False)
    return load_generator(path), {
        k: torch.from_numpy(arrays[k]) for k in arrays if not k.startswith("param")
    }


def test_rosinality_outputs_are_the_original_ones(rosinality) -> None:
    G, arrays = rosinality
    w = G.mapping(arrays["z"])
    assert (w - arrays["w"]).abs().max() < 2e-5
    assert (G.truncate(w, 0.7)[:, 0] - arrays["w_07"]).abs().max() < 2e-5
    for i, noise in enumerate(G.noise_maps()):
        assert torch.equal(noise, arrays[f"noise_{i}"])
    broadcast = {k: arrays[k][:, None].expand(-1, G.num_ws, -1) for k in ("w", "w_07")}
    cases = {"img": broadcast["w"], "img_07": broadcast["w_07"], "img_mix": arrays["latent_mix"]}
    for x, ws in cases.items():
        state = G.run(G.start_from_styles(ws), 0, G.num_layers)
        assert (state.rgb - arrays[x]).abs().max() < 5e-5
    state = G.start_from_styles(broadcast["w"])
    for index, size in enumerate((4, 8, 16)[: G.num_layers]):
        state = G.layer(index, state)
        assert (state.h - arrays[f"x_{size}"]).abs().max() < 5e-5
        assert (state.rgb - arrays[f"skip_{size}"]).abs().max() < 5e-5


def test_a_learning_rate_multiplier_that_no_file_records_can_be_given(tmp_path: Path) -> None:
    tensors = small_tensors()
    expected = StyleGAN2(tensors)
    tensors["mapping.mean"] = expected.mapping(gaussian_by_seed([0], (1000, 5))[0]).mean(0)
    path = written(tmp_path, saved(rosinality_state(tensors, rate=0.5)), "g.pt")
    notes = list[str]()
    load_generator(path, note=notes.append)
    assert len(notes) == 1 and "is taken to be 0.01" in notes[0]
    assert "is taken to be 0.01" in str(inspect(path)) and "looks wrong" in self_test(path)
    convert(path, tmp_path / "g.safetensors", mapping_rate=0.5)
    gaussian = torch.randn(3, 5)
    found = load_generator(tmp_path / "g.safetensors")
    assert isinstance(found, StyleGAN2)
    torch.testing.assert_close(found.mapping(gaussian), expected.mapping(gaussian))
    assert "looks wrong" not in self_test(tmp_path / "g.safetensors")
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="above 0 and finite"):
            convert(path, tmp_path / "x.safetensors", mapping_rate=rate)
    nvidia = written(tmp_path, nvidia_pickle(nvidia_tensors(small_tensors())), "n.pkl")
    with pytest.raises(InputError, match="says its learning rate multiplier itself"):
        convert(nvidia, tmp_path / "x.safetensors", mapping_rate=0.5)


def test_programs_are_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    entries = {"m/constants.pkl": b"x", "m/code/__torch__.py": b"import os", "m/data.pkl": b"x"}
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    onnx = b"\x08\x07\x12\x07pytorch" + bytes(64)
    for path in (tmp_path / "m.pt", written(tmp_path, onnx), written(tmp_path, b"", "m.onnx")):
        assert "nothing in it is run; give the module" in refusal(path)


@pytest.mark.parametrize("name", ["faces", "faces64"])
def test_the_cached_files_are_files_like_any_other(name: str) -> None:
    load_tensors(name)
    path = cache_folder() / WEIGHTS[name].file
    assert WEIGHTS[name].architecture in str(inspect(path)) and "self-test" in self_test(path)
    named = load(name, precision=torch.float32)
    z = named.sample([0])
    assert torch.equal(load_generator(path)(z), named(z))


def test_a_cached_file_of_no_generator_is_named(tmp_path: Path) -> None:
    metadata = {"format": FORMAT, "architecture": "stlpips"}
    save_file({"x": torch.zeros(1)}, tmp_path / "p.safetensors", metadata)
    assert "holds weights of 'stlpips', which is no generator" in refusal(
        tmp_path / "p.safetensors"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"3.weight": torch.zeros(9, 3, 4, 4)}, "'3.weight' has shape 9x3x4x4 instead of 8x3x4x4"),
        ({"1.bias": None}, "lacks the tensor '1.bias'"),
        ({"0.weight": None}, "lacks the tensor '0.weight'"),
        ({"x.weight": torch.zeros(2)}, "unknown tensor 'x.weight'"),
    ],
)
def test_other_tensors_than_a_dcgans_are_refused(tmp_path: Path, change, sentence) -> None:
    parts = ("weight", "bias", "running_mean", "running_var")
    tensors = {"0.weight": torch.randn(5, 8, 4, 4), "3.weight": torch.randn(8, 3, 4, 4)}
    tensors |= {f"1.{part}": torch.ones(8) for part in parts}
    metadata = {"format": FORMAT, "architecture": "dcgan"}
    save_file(tensors, tmp_path / "g.safetensors", metadata)
    assert load_generator(tmp_path / "g.safetensors").img_size == (3, 8, 8)
    changed = {k: v for k, v in (tensors | change).items() if v is not None}
    save_file(changed, tmp_path / "g.safetensors", metadata)
    assert sentence in refusal(tmp_path / "g.safetensors")


def test_pickle_of_a_call_is_refused_by_name(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {MARKER}",)

    message = refusal(written(tmp_path, pickle.dumps({"G_ema": Hostile()}, protocol=4)))
    assert "a call of 'posix.system'" in message or "nt.system" in message
    assert not MARKER.exists()
