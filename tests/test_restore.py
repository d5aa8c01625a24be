"""The command `interlayer restore`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from interlayer.app import cli
from interlayer.app import restore as command
from interlayer.generators import ToyGenerator
from interlayer.media.images import read_image, write_image
from interlayer.media.samples import sample_photo
from interlayer.weights import loading


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyGenerator:
    """The command line with a small generator in place of the real one."""
    generator = ToyGenerator(64)
    monkeypatch.setattr(loading, "load", lambda *args, **kwargs: generator)
    return generator


@pytest.fixture
def restore(monkeypatch, tmp_path):
    """The exit status of the command, which writes to the folder "out"."""

    def run(*arguments: object) -> int:
        words = ["interlayer", "restore", "--quality", "draft", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", [*words, "--out", str(tmp_path / "out")])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0)

    return run


@pytest.fixture
def astronaut(tmp_path: Path) -> Path:
    write_image(tmp_path / "astronaut.png", sample_photo("astronaut"))
    return tmp_path / "astronaut.png"


def plain_photo(path: Path, seed: int = 0) -> Path:
    """A photo without a face."""
    levels = np.random.default_rng(seed).integers(90, 110, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


def test_a_photo_is_restored_and_told_of(restore, capsys, tmp_path, astronaut):
    assert restore(astronaut) == 0
    said = capsys.readouterr().err
    for sentence in ("512x512 pixels", "A face, 170 pixels wide", "1 face restored, enlarged 2"):
        assert sentence in said
    assert read_image(tmp_path / "out" / "astronaut.png").shape == (1, 3, 1024, 1024)
    record = json.loads((tmp_path / "out" / "astronaut.json").read_text())
    assert record["found"][0] == "A face, 170 pixels wide" and record["of"]["seed"] == 0


def test_corrections_replace_what_is_found(restore, capsys, tmp_path, astronaut):
    flags = ("--noise", 0.05, "--blur", "line:9:30", "--faces", 0)
    assert restore(astronaut, *flags) == 0
    said = capsys.readouterr().err
    for sentence in ("No face", "Noise of 5.0% of white", "Smear of 9 px at 30 degrees"):
        assert sentence in said


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--blur", "heart:3"], "no blur 'heart'"),
        (["--blur", "gaussian"], "gaussian of 0.0 px is no blur"),
        (["--blur", "gaussian:x"], "--blur gaussian:x: give none, gaussian:S"),
        (["--faces", "few"], "--faces few: give a number, or all"),
        (["--mask-is", "hole"], "says what white is in a --mask"),
        (["--quality", "superb"], "'superb' is none of draft"),
    ],
)
def test_flags_that_make_no_sense_are_refused(restore, capsys, tmp_path, flags, sentence):
    assert restore(plain_photo(tmp_path / "a.png"), *flags) == 2
    assert sentence in capsys.readouterr().err


def test_a_mask_takes_the_photos_way(restore, capsys, tmp_path):
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    levels = np.full((60, 40, 3), 100, np.uint8)
    levels[20:24] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(levels).save(photo, exif=exif)
    painted = np.zeros((120, 80), np.uint8)
    painted[40:48] = 255
    Image.fromarray(painted).save(mask)
    assert restore(photo, "--mask", mask) == 0
    assert "white pixels are the hole (guessed" in capsys.readouterr().err
    assert (read_image(tmp_path / "out" / "photo.png") - 100 / 255).abs().max() < 0.01
    assert restore(photo, "--mask", mask, "--mask-is", "hole") == 0
    assert "guessed" not in capsys.readouterr().err


def test_a_mask_is_for_one_photo(restore, capsys, tmp_path):
    photos = [plain_photo(tmp_path / name) for name in ("a.png", "b.png")]
    assert restore(*photos, "--mask", photos[0]) == 2
    assert "--mask is for one photo, not for 2" in capsys.readouterr().err


def test_a_folder_goes_on_where_it_stopped_and_says_at_the_end_what_failed(
    restore, capsys, monkeypatch, tmp_path
):
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(6):
        plain_photo(folder / f"{number}.png", number)
    (folder / "2.png").write_bytes(b"no picture at all")
    (folder / "4.png").write_bytes((folder / "3.png").read_bytes()[:300])
    (folder / "notes.txt").write_text("not a photo")
    inside, written = command.restore, []

    def stops(*args, **kwargs):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(args)
        return inside(*args, **kwargs)

    monkeypatch.setattr(command, "restore", stops)
    assert restore(folder) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    before = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "out").glob("*.png")}
    assert set(before) == {"0.png", "1.png"}
    monkeypatch.setattr(command, "restore", inside)
    assert restore(folder) == 2
    *_, first, second = capsys.readouterr().err.strip().splitlines()
    assert first.startswith("error: ") and "2.png is not a picture" in first
    assert second.startswith("error: ") and "4.png is damaged" in second
    after = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "out").glob("*.png")}
    assert set(after) == {"0.png", "1.png", "3.png", "5.png"}
    assert {name: after[name] for name in before} == before


def test_another_plan_or_photo_is_restored_again(restore, capsys, tmp_path):
    photo = plain_photo(tmp_path / "a.png")
    assert restore(photo) == restore(photo) == 0
    assert capsys.readouterr().err.count("restored already") == 1
    assert restore(photo, "--seed", 1) == 0
    plain_photo(photo, seed=1)
    assert restore(photo, "--seed", 1) == 0
    assert "restored already" not in capsys.readouterr().err


def test_a_folder_without_photos_is_refused(restore, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    assert restore(tmp_path / "empty") == 2
    assert "holds no photos" in capsys.readouterr().err
