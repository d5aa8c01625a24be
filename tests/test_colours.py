"""Colour profiles and inks become sRGB."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from interlayer.media.photos import read_photo

from .photo_files import image, noise, saved, smooth


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """A profile of sRGB with red and green exchanged."""
    profile = srgb_profile().replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ")
    return profile.replace(b"????", b"gXYZ")


def cmyk_profile() -> bytes:
    """A profile in which paper is white and any ink at all is black."""
    curves = bytes(range(256))
    nodes = bytes([255, 128, 128]) + bytes([0, 128, 128]) * 15
    matrix = struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).flatten().tolist())
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + curves * 4 + nodes + curves * 3
    offset = 128 + 4 + 12
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIIIQI3i48x",
        offset + len(table), b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ", bytes(12), b"acsp",
        b"APPL", 0, 0, 0, 0, 0, 63190, 65536, 54061,
    )  # fmt: skip
    return header + struct.pack(">I4sII", 1, b"A2B0", offset, len(table)) + table


def test_a_colour_profile_leads_to_srgb(tmp_path: Path) -> None:
    levels = smooth(16, 16)
    path = saved(tmp_path / "x.png", levels, icc_profile=swapped_profile())
    photo = read_photo(path)
    expected = image(levels[..., [1, 0, 2]])
    torch.testing.assert_close(photo.x, expected, atol=2.5 / 255, rtol=0)
    assert len(photo.notes) == 1 and photo.notes[0].startswith("converted from its colour profile")


def test_a_profile_leaves_transparency(tmp_path: Path) -> None:
    levels = np.dstack([np.full((16, 16, 3), (255, 0, 0)), np.full((16, 16), 255)]).astype(np.uint8)
    levels[:4, :, 3] = 0
    photo = read_photo(saved(tmp_path / "x.png", levels, icc_profile=swapped_profile()))
    assert photo.known is not None and photo.known[0, 0, :, 0].tolist() == [False] * 4 + [True] * 12
    assert (photo.x[0, :, :4] == 1).all()
    green = torch.tensor([0.0, 1, 0]).reshape(3, 1, 1).expand(3, 12, 16)
    torch.testing.assert_close(photo.x[0, :, 4:], green, atol=2.5 / 255, rtol=0)
    assert photo.notes[1:] == ("laid on white",)


def test_the_profile_of_srgb_changes_no_pixel(tmp_path: Path) -> None:
    levels = noise(16, 16)
    photo = read_photo(saved(tmp_path / "x.jpg", levels, icc_profile=srgb_profile()))
    plain = read_photo(saved(tmp_path / "y.jpg", levels))
    assert torch.equal(photo.x, plain.x) and photo.notes == () and photo.jpeg is not None


@pytest.mark.parametrize("cut", [50, 140])
def test_a_damaged_profile_is_ignored_and_told(tmp_path: Path, cut: int) -> None:
    levels = noise(16, 16)
    photo = read_photo(saved(tmp_path / "x.png", levels, icc_profile=srgb_profile()[:cut]))
    assert torch.equal(photo.x, image(levels))
    assert photo.notes == ("its colour profile is damaged and was ignored",)


def test_a_profile_of_other_colours_is_ignored_and_told(tmp_path: Path) -> None:
    levels = noise(16, 16)
    photo = read_photo(saved(tmp_path / "x.png", levels, icc_profile=cmyk_profile()))
    assert torch.equal(photo.x, image(levels))
    assert photo.notes == ("its colour profile is for other colours and was ignored",)


@pytest.mark.parametrize("suffix", ["tiff", "jpg"])  # JPEG files hold CMYK inverted, as Adobe does
def test_inks_become_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    inks.save(path)
    photo = read_photo(path)
    red = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1).expand_as(photo.x)
    torch.testing.assert_close(photo.x, red, atol=0.02, rtol=0)
    assert photo.notes == ("converted from CMYK",)


@pytest.mark.parametrize(("inks", "grey"), [((0, 0, 0, 0), 1.0), ((255, 0, 0, 0), 0.0)])
def test_inks_with_a_profile_go_through_it(tmp_path: Path, inks: tuple, grey: float) -> None:
    path = tmp_path / "x.tiff"
    Image.new("CMYK", (16, 16), inks).save(path, icc_profile=cmyk_profile())
    photo = read_photo(path)
    torch.testing.assert_close(photo.x, torch.full_like(photo.x, grey), atol=0.02, rtol=0)
    assert len(photo.notes) == 1 and photo.notes[0].startswith("converted from CMYK")


def test_only_pixels_as_they_are_stored_have_tables(tmp_path: Path) -> None:
    assert read_photo(saved(tmp_path / "x.png", noise(16, 16))).jpeg is None
    cmyk = Image.fromarray(noise(16, 16)).convert("CMYK")
    cmyk.save(tmp_path / "cmyk.jpg")
    assert read_photo(tmp_path / "cmyk.jpg").jpeg is None
    path = saved(tmp_path / "p.jpg", noise(16, 16), icc_profile=swapped_profile())
    assert read_photo(path).jpeg is None
    rgb = saved(tmp_path / "rgb.jpg", noise(16, 16), keep_rgb=True)
    assert read_photo(rgb).jpeg is None
