"""Photos as cameras, telephones and scanners write them."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from interlayer import InputError, read_image
from interlayer.media.photos import read_photo, turned

from .photo_files import image, noise, saved, smooth, tiff

# --- direction and size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone_as_pillow_does(tmp_path: Path, orientation: int) -> None:
    levels = noise(16, 24)
    photo = read_photo(saved(tmp_path / "x.png", levels, orientation))
    ways = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Image.Transpose
    upright = Image.fromarray(levels)
    if orientation > 1:
        upright = upright.transpose(Image.Transpose(ways[orientation]))
    assert torch.equal(photo.x, image(np.array(upright)))
    assert photo.orientation == orientation and photo.notes == () and photo.known is None


@pytest.mark.parametrize("value", [0, 9])
def test_an_orientation_that_does_not_exist_is_upright(tmp_path: Path, value: int) -> None:
    photo = read_photo(saved(tmp_path / "x.png", noise(16, 24), value))
    assert photo.orientation == 1 and photo.x.shape == (1, 3, 16, 24)


def test_a_thumbnail_of_8_pixels_is_a_photo(tmp_path: Path) -> None:
    levels = noise(8, 8)
    path = saved(tmp_path / "x.png", levels)
    assert torch.equal(read_photo(path).x, image(levels))
    assert read_image(path, 16).shape == (1, 3, 16, 16)


# --- transparency


def test_opaque_pixels_are_known(tmp_path: Path) -> None:
    levels = np.dstack([noise(16, 24), np.full((16, 24), 255, np.uint8)])
    assert read_photo(saved(tmp_path / "x.png", levels)).known is None
    levels[2:5, 3:9, 3] = 127
    levels[7, 7, 3] = 128
    photo = read_photo(saved(tmp_path / "x.png", levels, 6))
    assert photo.notes == ("laid on white",) and photo.known is not None
    hole = torch.ones(16, 24, dtype=torch.bool)
    hole[2:5, 3:9] = False
    assert torch.equal(photo.known[0, 0], hole.rot90(-1))
    assert torch.equal(photo.x[0, 0].rot90()[5:7], image(levels[..., :3])[0, 0][5:7])


def test_a_transparent_palette_entry_and_a_transparent_grey_are_unknown(tmp_path: Path) -> None:
    levels = np.full((16, 16), 40, np.uint8)
    levels[:4] = 200
    palette = Image.fromarray(levels).convert("P")
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    deep = Image.fromarray(levels.astype(np.uint16) * 100)
    deep.save(tmp_path / "d.png", transparency=20_000)
    for name in ("p.png", "d.png"):
        photo = read_photo(tmp_path / name)
        assert photo.known is not None and photo.notes[-1] == "laid on white"
        assert photo.known[0, 0, :, 0].tolist() == [False] * 4 + [True] * 12
        assert (photo.x[0, :, :4] == 1).all() and (photo.x[0, :, 4:] < 0.5).all()


# --- more than 8 bits


@pytest.mark.parametrize("largest", [200, 900, 4080, 16_000, 60_000])
def test_the_white_of_deep_values_is_guessed_and_told(tmp_path: Path, largest: int) -> None:
    white = next(w for w in (255, 1023, 4095, 16383, 65535) if w >= largest)
    levels = np.linspace(0, largest, 16 * 16).astype(np.uint16).reshape(16, 16)
    photo = read_photo(tiff(tmp_path / "x.png", levels))
    expected = torch.from_numpy(levels / np.float32(white)).float()
    torch.testing.assert_close(photo.x, expected.expand(1, 3, -1, -1), atol=1e-7, rtol=0)
    bits = (white + 1).bit_length() - 1
    assert photo.notes == (f"read as {bits}-bit values (white is {white})",)
    if white < 65535:
        given = read_photo(tmp_path / "x.png", white=2 * white)
        assert given.notes == () and torch.equal(given.x, photo.x / 2)


def test_deep_values_keep_their_precision(tmp_path: Path) -> None:
    levels = 4000 + np.arange(64, dtype=np.uint16).reshape(8, 8)
    x = read_photo(tiff(tmp_path / "x.png", levels)).x
    assert torch.equal((x[0, 0] * 4095).round(), torch.from_numpy(levels.astype(np.float32)))
    assert torch.equal(read_image(tmp_path / "x.png"), x)


def test_values_above_the_white_that_is_given_are_cut_off(tmp_path: Path) -> None:
    levels = np.arange(100, dtype=np.uint16).reshape(10, 10) * 10
    photo = read_photo(tiff(tmp_path / "x.png", levels), white=890)
    assert photo.x.max() == 1 and photo.notes == ("10.0% of the values cut off at white",)


def test_floats_up_to_one_are_as_they_are(tmp_path: Path) -> None:
    levels = np.linspace(0, 0.9, 64, dtype=np.float32).reshape(8, 8)
    photo = read_photo(tiff(tmp_path / "x.tiff", levels))
    assert torch.equal(photo.x[0, 1], torch.from_numpy(levels))
    assert photo.notes == ("read as floating-point values (white is 1)",)
    levels[0, 0], levels[0, 1] = -0.1, 1.1
    photo = read_photo(tiff(tmp_path / "x.tiff", levels))
    assert photo.x[0, 0, 0, :2].tolist() == [0, 1] and photo.x[0, 0, 7, 7] == levels[7, 7]
    assert photo.notes == (
        "values below 0 set to black",
        "read as floating-point values (white is 1)",
        "values above 1 cut off",
    )


def test_larger_floats_are_guessed_and_told(tmp_path: Path) -> None:
    levels = np.linspace(0, 250, 64, dtype=np.float32).reshape(8, 8)
    photo = read_photo(tiff(tmp_path / "x.tiff", levels))
    torch.testing.assert_close(photo.x[0, 0], torch.from_numpy(levels / 255))
    assert photo.notes == ("read as floating-point values (white is 255)",)
    levels[0, 0] = 7e4
    with pytest.raises(InputError, match="say which it is"):
        read_photo(tiff(tmp_path / "x.tiff", levels))
    assert read_photo(tmp_path / "x.tiff", white=1e4).x.max() == 1
    with pytest.raises(InputError, match="up to 20"):
        read_photo(tiff(tmp_path / "x.tiff", 20 * np.ones((8, 8), np.float32)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    levels = np.zeros((8, 8), np.float32)
    levels[3, 3] = value
    with pytest.raises(InputError, match="infinite or no numbers"):
        read_photo(tiff(tmp_path / "x.tiff", levels))


@pytest.mark.parametrize(
    ("white", "reason"),
    [
        (0, "is no level"),
        (-1.0, "is no level"),
        (float("nan"), "is no level"),
        (float("inf"), "is no level"),
        (300.0, "make most of .* white"),
        (1e6, "make most of .* black"),
    ],
)
def test_a_white_that_does_not_suit_is_refused(tmp_path: Path, white: float, reason: str) -> None:
    path = tiff(tmp_path / "x.png", np.arange(64, dtype=np.uint16).reshape(8, 8) * 20)
    with pytest.raises(InputError, match=reason):
        read_photo(path, white=white)


def test_white_is_for_deep_files(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", noise(8, 8))
    assert torch.equal(read_photo(path, white=255).x, read_photo(path).x)
    with pytest.raises(InputError, match="8-bit values"):
        read_photo(path, white=4095)


# --- telephones


def heic(path: Path, levels: np.ndarray) -> Path:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.fromarray(levels)).save(path, quality=95)
    return path


@pytest.mark.parametrize("name", ["x.heic", "x.jpg"])
def test_a_heic_photo_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    levels = smooth(64, 48)
    heic(tmp_path / "y.heic", levels).rename(tmp_path / name)
    photo = read_photo(tmp_path / name)
    assert photo.x.shape == (1, 3, 64, 48) and photo.jpeg is None
    assert (photo.x - image(levels)).abs().mean() < 0.02


def test_the_sentence_says_which_extra_reads_heic(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "x.heic"
    path.write_bytes(struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic"))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"pip install 'interlayer\[heif\]'"):
        read_photo(path)


def test_a_damaged_heic_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    path = heic(tmp_path / "x.heic", noise(64, 64))
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match="x.heic is"):
        read_photo(path)


def test_other_formats_stay_refused_when_heic_can_be_read(tmp_path: Path) -> None:
    read_photo(heic(tmp_path / "x.heic", smooth(16, 16)))
    Image.new("RGB", (16, 16)).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "y.heic")
    with pytest.raises(InputError, match="not a picture this program reads"):
        read_photo(tmp_path / "y.heic")


@pytest.mark.skipif(not features.check("avif"), reason="this build of Pillow has no AVIF")
def test_an_avif_photo_is_read(tmp_path: Path) -> None:
    levels = smooth(32, 48)
    photo = read_photo(saved(tmp_path / "x.avif", levels, 6, quality=95))
    assert (photo.x - image(levels).rot90(-1, (2, 3))).abs().mean() < 0.03


def test_the_sentence_says_that_a_build_has_no_avif(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "x.avif"
    path.write_bytes(struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"mif1", 0, b"mif1", b"avif"))
    monkeypatch.setattr(features, "check", lambda name: False)
    with pytest.raises(InputError, match="AVIF picture, which this build"):
        read_photo(path)


def test_a_turn_there_and_back_is_nothing() -> None:
    x = torch.rand(1, 3, 4, 6)
    for there, back in ((2, 2), (3, 3), (4, 4), (5, 5), (6, 8), (7, 7), (8, 6)):
        assert torch.equal(turned(turned(x, there), back), x)
