import cmath
import math
import sys
from pathlib import Path

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.faces import (
    Landmarks,
    Square,
    align,
    cut,
    ffhq_square,
    find_faces,
    paste_back,
)
from interlayer.media.images import read_image

FACES = Path(__file__).parents[2] / "shared" / "faces"


@pytest.fixture(scope="module")
def astronaut() -> Tensor:
    return torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None] / 255


@pytest.fixture(scope="module")
def astronaut_square(astronaut: Tensor) -> Square:
    return align(astronaut, 64).square


def smooth(height: int, width: int) -> Tensor:
    """A photo without detail finer than 16 pixels, which resampling can hardly change."""
    noise = torch.rand(1, 3, height // 16, width // 16, generator=torch.Generator().manual_seed(0))
    return F.interpolate(noise, (height, width), mode="bicubic", antialias=True).clamp(0, 1)


def seen_in(outer: Square, size: int, inner: Square) -> Square:
    """A square of a photo as it lies in the cut of another square, in the pixels of that cut."""
    scale = size / 2 / outer.axis
    return Square((inner.centre - outer.centre) * scale + (1 + 1j) * size / 2, inner.axis * scale)


def assert_same_place(actual: Square, expected: Square, share: float, degrees: float) -> None:
    """Centres and sides agree to a share of the side, and the turns to some degrees."""
    assert abs(actual.centre - expected.centre) < share * expected.side
    assert actual.side == pytest.approx(expected.side, rel=share)
    assert abs(math.degrees(cmath.phase(actual.axis / expected.axis))) < degrees


def test_the_square_follows_the_face() -> None:
    """FFHQ's formula commutes with shifts, turns and scales of the photo."""
    face = Landmarks(100 + 80j, 150 + 84j, 104 + 140j, 143 + 146j)
    turn, shift = 1.7 * cmath.exp(0.4j), 30 - 12j
    square = ffhq_square(face)
    moved = ffhq_square(Landmarks(*(turn * point + shift for point in face)))
    assert moved.centre == pytest.approx(turn * square.centre + shift)
    assert moved.axis == pytest.approx(turn * square.axis)


def test_a_long_face_sets_the_side_by_its_length_and_a_wide_one_by_its_eyes() -> None:
    long = ffhq_square(Landmarks(-10, 10, -10 + 100j, 10 + 100j))
    wide = ffhq_square(Landmarks(-50, 50, -50 + 10j, 50 + 10j))
    assert (long.side, wide.side) == pytest.approx((2 * 1.8 * 100, 2 * 2 * 100))
    assert (long.centre, wide.centre) == pytest.approx((10j, 1j))


@pytest.mark.parametrize("size", [96, 200])
def test_a_cut_has_the_colours_that_the_square_points_at(size: int) -> None:
    """On a linear ramp a sample equals its position, whatever the scale and the turn."""
    rows, columns = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    ramp = torch.stack([columns + 0.5, rows + 0.5, rows])[None] / 200
    square = Square(96 + 104j, 50 * cmath.exp(0.5j))
    for row, column in ((0, 0), (10, size - 1), (size // 2, size // 3)):
        v = complex(column + 0.5, row + 0.5) * 2 / size - (1 + 1j)
        expected = (square.centre + square.axis * v) / 200
        actual = cut(ramp, square, size)[0, :2, row, column]
        assert complex(*actual.tolist()) == pytest.approx(expected, abs=0.25 / 200)


def test_shrinking_does_not_alias() -> None:
    checkers = (torch.arange(256)[:, None] + torch.arange(256)).remainder(2).expand(1, 3, -1, -1)
    x = cut(checkers.float(), Square(128 + 128j, 90 + 20j), 40)
    assert (x - 0.5).abs().max() < 0.05


def test_a_photo_is_mirrored_beyond_its_edges() -> None:
    photo = smooth(64, 64)
    x = cut(photo, Square(32 + 32j, 64 + 0j), 128)
    assert torch.allclose(x[..., 32:96, 32:96], photo, atol=1e-4)
    assert torch.allclose(x[..., 32:96, :32], photo[..., :32].flip(-1), atol=1e-4)
    assert torch.allclose(x[..., 96:, 32:96], photo[..., 32:, :].flip(-2), atol=1e-4)


@pytest.mark.parametrize("size", [60, 128, 256])
@pytest.mark.parametrize("centre", [64 + 70j, 10 + 90j])
def test_pasting_an_untouched_cut_leaves_the_photo(size: int, centre: complex) -> None:
    photo = smooth(128, 160)
    square = Square(centre, 30 + 12j)
    change = (paste_back(photo, square, cut(photo, square, size)) - photo).abs()
    assert change.max() < 4 / 255
    assert change.mean() < 0.1 / 255


def test_pasting_replaces_the_inside_softens_the_edge_and_keeps_the_rest() -> None:
    photo = torch.zeros(1, 3, 100, 120)
    result = paste_back(photo, Square(60 + 50j, 20 + 0j), torch.ones(1, 3, 64, 64), feather=0.5)
    assert torch.equal(photo, torch.zeros_like(photo))
    assert torch.allclose(result[..., 41:59, 51:69], torch.ones(()))
    outside = result.clone()
    outside[..., 30:70, 40:80] = 0
    assert torch.equal(outside, photo)
    profile = result[0, 0, 50, 40:60]
    assert (profile.diff() > -1e-5).all()
    assert profile.diff().max() < 0.2


def test_the_detector_frames_the_face_as_the_sample_photo_does(astronaut_square: Square) -> None:
    """The sample's crop was placed by hand: 190 pixels from (130, 10)."""
    assert_same_place(astronaut_square, Square(225 + 105j, 95 + 0j), share=0.15, degrees=5)


@pytest.mark.parametrize("degrees", [-30, 0, 45])
@pytest.mark.parametrize("zoom", [1.2, 2.5])
def test_a_turned_shifted_and_scaled_photo_gives_the_same_face(
    astronaut: Tensor, astronaut_square: Square, degrees: float, zoom: float
) -> None:
    turn = cmath.exp(1j * math.radians(degrees))
    centre = astronaut_square.centre + 10 + 5j
    scene = Square(centre, astronaut_square.axis * zoom * turn)
    photo = cut(astronaut, scene, 400)
    found = [ffhq_square(face) for face in find_faces(photo)]
    expected = seen_in(scene, 400, astronaut_square)
    nearest = min(found, key=lambda square: abs(square.centre - expected.centre))
    assert_same_place(nearest, expected, share=0.08, degrees=5)


def test_faces_are_counted_from_the_largest(astronaut: Tensor, astronaut_square: Square) -> None:
    small = F.interpolate(astronaut, (256, 256), mode="bicubic", antialias=True)
    photo = torch.cat([F.pad(small, (0, 0, 0, 256)), astronaut], -1)
    first, second = align(photo, 64), align(photo, 64, face=1)
    large = Square(astronaut_square.centre + 256, astronaut_square.axis)
    half = Square(astronaut_square.centre / 2, astronaut_square.axis / 2)
    assert_same_place(first.square, large, share=0.08, degrees=5)
    assert_same_place(second.square, half, share=0.08, degrees=5)
    assert (first.x - second.x).abs().mean() < 0.05
    for face in (2, -1):
        with pytest.raises(InputError, match=f"no face {face}: the photo shows 2"):
            align(photo, 64, face)


@pytest.mark.parametrize("name", ["coffee", "grass", "cat"])
def test_a_photo_without_a_face_is_refused(name: str) -> None:
    values = torch.from_numpy(getattr(skimage.data, name)())
    colours = values if values.dim() == 3 else values[..., None].expand(-1, -1, 3)
    with pytest.raises(InputError, match="no face was found"):
        align(colours.permute(2, 0, 1)[None] / 255, 64)


def test_a_missing_detector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retinaface", None)
    with pytest.raises(InputError, match=r"run pip install 'interlayer\[align\]'"):
        find_faces(torch.zeros(1, 3, 32, 32))


def test_a_batch_is_no_photo() -> None:
    with pytest.raises(ValueError, match="a photo is"):
        find_faces(torch.zeros(2, 3, 32, 32))


@pytest.mark.skipif(not FACES.is_dir(), reason="the photos are not part of the project")
def test_aligned_photos_are_found_to_be_aligned() -> None:
    for path in sorted(FACES.glob("celebahq_*")):
        photo = read_image(path)
        size = photo.shape[-1]
        whole = Square((1 + 1j) * size / 2, complex(size / 2))
        assert_same_place(align(photo, 64).square, whole, share=0.1, degrees=5)
