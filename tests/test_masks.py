"""Masks as people paint them, and the way they take to a photo."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from interlayer import InputError, make_physics
from interlayer.media.faces import Square, cut, middle_square
from interlayer.media.masks import cut_mask, fit_mask, read_mask, resize_mask
from interlayer.media.photos import Photo, read_photo

SIZE = 64
GUESSED = "(guessed; --mask-is hole|known says it)"


def hole(size: int = SIZE, margin: float = 0) -> np.ndarray:
    """A round hole in about a twentieth of the picture, True where it is."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    return (x - 0.5) ** 2 + (y - 0.4) ** 2 < (0.13 + margin) ** 2


def saved(path: Path, levels: np.ndarray, **options) -> Path:
    Image.fromarray(levels).save(path, **options)
    return path


def tensor(known: np.ndarray) -> Tensor:
    return torch.from_numpy(known)[None, None]


def layer(painted: np.ndarray, colour: int = 255) -> np.ndarray:
    rgba = np.full((*painted.shape, 4), colour, np.uint8)
    rgba[..., 3] = 255 * painted
    return rgba


def grey(known: np.ndarray) -> np.ndarray:
    return (known * 255).astype(np.uint8)


def scratches() -> np.ndarray:
    """Lines of one and two pixels across the picture, some of them slanted."""
    picture = Image.new("1", (SIZE, SIZE))
    draw = ImageDraw.Draw(picture)
    draw.line((3, 0, 20, 63), 1)
    draw.line((0, 50, 63, 13), 1, width=2)
    draw.line((40, 5, 40, 60), 1)
    return np.array(picture)


HOLE, KNOWN = "white pixels are the hole " + GUESSED, "white pixels are known"
FORMS = {
    "white is 255": (grey(~hole()), KNOWN),
    "values 0 and 1": ((~hole()).astype(np.uint8), KNOWN),
    "1 bit": (~hole(), KNOWN),
    "16 bit": ((~hole()).astype(np.uint16) * 4095, KNOWN),
    "colours": (np.dstack([grey(~hole())] * 3), KNOWN),
    "an opaque layer": (np.dstack([*[grey(~hole())] * 3, np.full_like(grey(hole()), 255)]), KNOWN),
    "inverted": (grey(hole()), HOLE),
    "inverted, 0 and 1": (hole().astype(np.uint8), HOLE),
    "painted on a layer": (
        layer(hole()),
        f"transparent pixels are known, painted ones are missing {GUESSED}",
    ),
    "painted black on a layer": (
        layer(hole(), colour=0),
        f"transparent pixels are known, painted ones are missing {GUESSED}",
    ),
    "photo with a hole": (
        layer(~hole(), colour=90),
        f"painted pixels are known, transparent ones are missing {GUESSED}",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_mask_says_the_same(tmp_path: Path, form: str) -> None:
    levels, note = FORMS[form]
    mask = read_mask(saved(tmp_path / "mask.png", levels))
    assert torch.equal(mask.known, tensor(~hole()))
    assert note in mask.notes
    assert mask.notes[-1] == f"{100 * (~hole()).mean():.3g} % of the picture is known"


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_soft_edges_are_cut_at_the_half(tmp_path: Path, suffix: str) -> None:
    large = Image.fromarray(grey(~hole(512)))
    soft = np.array(large.filter(ImageFilter.GaussianBlur(5)))
    mask = read_mask(saved(tmp_path / f"soft.{suffix}", soft))
    differs = mask.known[0, 0].numpy() != ~hole(512)
    assert mask.known.shape == (1, 1, 512, 512) and differs.mean() < 0.002
    assert KNOWN in mask.notes


def test_what_is_white_is_told_if_it_is_not_255(tmp_path: Path) -> None:
    mask = read_mask(saved(tmp_path / "mask.png", (~hole()).astype(np.uint8)))
    assert mask.notes[0] == "the largest value, 1, is taken as white"
    assert len(read_mask(saved(tmp_path / "mask.png", grey(~hole()))).notes) == 2


def test_a_palette_and_red_paint_are_read_by_their_brightness(tmp_path: Path) -> None:
    paint = np.full((SIZE, SIZE, 3), 255, np.uint8)
    paint[hole()] = (255, 0, 0)
    path = saved(tmp_path / "red.png", paint)
    assert torch.equal(read_mask(path).known, tensor(~hole()))
    Image.fromarray(paint).quantize(4).save(tmp_path / "palette.png")
    assert torch.equal(read_mask(tmp_path / "palette.png").known, tensor(~hole()))


# --- what is guessed


def at_random(share: float, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).random((size, size)) < share


def lattice(step: int) -> np.ndarray:
    white = np.zeros((SIZE, SIZE), bool)
    white[::step, ::step] = True
    return white


def enlarged(white: np.ndarray) -> np.ndarray:
    return white.repeat(8, 0).repeat(8, 1)


def box(share: float) -> np.ndarray:
    white = np.zeros((SIZE, SIZE), bool)
    side = round(SIZE * share**0.5)
    white[:side, :side] = True
    return white


GUESSES = {
    "2 % at random": (at_random(0.02), "known"),
    "10 % at random": (at_random(0.1), "known"),
    "33 % at random": (at_random(0.33), "known"),
    "10 % at random, each pixel enlarged": (enlarged(at_random(0.1)), "known"),
    "every fourth pixel": (lattice(4), "known"),
    "every second pixel": (lattice(2), "known"),
    "a hole": (hole(), "hole"),
    "a hole, enlarged": (enlarged(hole()), "hole"),
    "thin scratches": (scratches(), "hole"),
    "a quarter": (box(0.25), "hole"),
    "a third": (box(0.33), "hole"),
    "two fifths": (box(0.4), "known"),
    "most of it": (~hole(), "known"),
    "half of it at random": (at_random(0.5), "known"),
}


@pytest.mark.parametrize("case", GUESSES)
def test_the_meaning_of_white_is_guessed(tmp_path: Path, case: str) -> None:
    white, meaning = GUESSES[case]
    mask = read_mask(saved(tmp_path / "mask.png", grey(white)))
    assert torch.equal(mask.known, tensor(white if meaning == "known" else ~white))
    guessed = white.mean() < 0.35
    assert any(GUESSED in note for note in mask.notes) == guessed
    assert mask.notes[-1].startswith(f"{100 * mask.known.float().mean():.3g} % of the picture")


@pytest.mark.parametrize("white", [hole(), ~hole(), at_random(0.1)])
@pytest.mark.parametrize("form", [grey, layer])
def test_a_meaning_that_is_given_is_not_guessed(tmp_path: Path, white: np.ndarray, form) -> None:
    path = saved(tmp_path / "mask.png", form(white))
    kind = "white" if form is grey else "painted"
    as_known, as_hole = read_mask(path, "known"), read_mask(path, "hole")
    assert torch.equal(as_known.known, tensor(white)) and torch.equal(~as_hole.known, tensor(white))
    assert as_known.notes[0] == f"{kind} pixels are known"
    assert as_hole.notes[0] == f"{kind} pixels are missing"


# --- nearly all and nothing


@pytest.mark.parametrize("value", [1, 127, 255])
def test_one_colour_that_is_not_black_is_all_known(tmp_path: Path, value: int) -> None:
    mask = read_mask(saved(tmp_path / "mask.png", np.full((16, 16), value, np.uint8)))
    assert mask.known.all()
    assert mask.notes[-1] == "100 % of the picture is known, so that nothing is missing"


def test_a_mask_with_nothing_known_is_refused(tmp_path: Path) -> None:
    black = saved(tmp_path / "black.png", np.zeros((16, 16), np.uint8))
    for meaning in (None, "known"):
        with pytest.raises(InputError, match="has no white pixel, so nothing is measured: paint w"):
            read_mask(black, meaning)
    white = saved(tmp_path / "white.png", np.full((16, 16), 255, np.uint8))
    with pytest.raises(InputError, match="has no black pixel, so nothing is measured"):
        read_mask(white, "hole")
    empty = saved(tmp_path / "empty.png", layer(np.zeros((16, 16), bool)))
    with pytest.raises(InputError, match="has no painted pixel, so nothing is measured: paint wh"):
        read_mask(empty, "known")


@pytest.mark.parametrize(
    ("count", "note"),
    [
        (1, "0.0244 % of the picture is known, which is hardly anything"),
        (20, "0.488 % of the picture is known, which is hardly anything"),
        (21, "0.513 % of the picture is known"),
        (4075, "99.5 % of the picture is known"),
        (4076, "99.51 % of the picture is known, so that hardly anything is missing"),
        (4095, "99.98 % of the picture is known, so that hardly anything is missing"),
    ],
)
def test_nearly_all_and_nearly_nothing_are_warned_of(tmp_path: Path, count: int, note: str):
    white = (np.arange(SIZE * SIZE) < count).reshape(SIZE, SIZE)
    mask = read_mask(saved(tmp_path / "mask.png", grey(white)), "known")
    assert mask.notes[-1] == note


# --- the way of the photo


def photo_of(height: int, width: int, orientation: int = 1) -> Photo:
    return Photo(torch.zeros(1, 3, height, width), None, None, orientation, ())


def test_a_mask_of_the_photos_size_is_taken_as_it_is() -> None:
    mask = tensor(at_random(0.3)[:48])
    assert torch.equal(fit_mask(mask, photo_of(48, 64)), mask)
    assert torch.equal(fit_mask(mask[..., :48], photo_of(48, 48, 6)), mask[..., :48])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_drawn_over_the_unturned_photo_is_turned_with_it(
    tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    levels = np.dstack([grey(hole())[:40]] * 3)
    photo = read_photo(saved(tmp_path / "photo.png", levels, exif=exif))
    mask = read_mask(saved(tmp_path / "mask.png", levels[..., 0]), "known")
    upright = read_mask(saved(tmp_path / "turned.png", levels[..., 0], exif=exif), "known")
    assert torch.equal(upright.known[:, 0], photo.x[:, 0] > 0.5)
    assert torch.equal(fit_mask(upright.known, photo), upright.known)
    if orientation >= 5:
        assert torch.equal(fit_mask(mask.known, photo), upright.known)


@pytest.mark.parametrize("size", [32, 100, 256, 512])
def test_a_mask_of_another_size_is_resized_and_stays_hard(size: int) -> None:
    fitted = fit_mask(tensor(~hole()), photo_of(size, size))
    assert fitted.dtype == torch.bool and fitted.shape == (1, 1, size, size)
    pixel = 1 / min(size, SIZE)
    beyond, within = hole(size, margin=pixel), hole(size, margin=-pixel)
    made = ~fitted[0, 0].numpy()
    assert (made <= beyond).all() and (within <= made).all()


def test_enlarging_a_mask_by_a_whole_number_repeats_its_edges() -> None:
    mask = tensor(np.arange(8)[None].repeat(8, 0) < 3)
    assert torch.equal(
        resize_mask(mask, 16, 16), mask.repeat_interleave(2, 2).repeat_interleave(2, 3)
    )


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        fit_mask(tensor(hole()), photo_of(64, 48))
    assert str(caught.value) == (
        "the mask is 64x64 but the photo 48x64: "
        "draw it over the photo, at any size of the same shape"
    )
    with pytest.raises(InputError, match="the mask is 48x64 but the photo 64x48"):
        fit_mask(tensor(hole()[:, :48]), photo_of(48, 64))
    assert fit_mask(tensor(~hole()), photo_of(100, 101)).shape == (1, 1, 100, 101)
    with pytest.raises(InputError, match="at any size of the same shape"):
        fit_mask(tensor(hole()), photo_of(100, 102))


def test_known_pixels_that_do_not_survive_are_told() -> None:
    with pytest.raises(InputError, match="nothing that the mask says is known is left at 16x16"):
        fit_mask(tensor(lattice(8)), photo_of(16, 16))


# --- squares of the photo


def test_the_middle_square_lies_on_whole_pixels() -> None:
    x = torch.rand(1, 3, 48, 65)
    square = middle_square(x)
    assert square == Square(32 + 24j, 24 + 0j)
    torch.testing.assert_close(cut(x, square, 48), x[..., 8:56], atol=1e-5, rtol=0)
    assert middle_square(x.mT) == Square(24 + 32j, 24 + 0j)


def test_the_mask_is_cut_where_the_photo_is() -> None:
    known = tensor(at_random(0.6)[:48])
    assert torch.equal(cut_mask(known, middle_square(known), 48), known[..., 8:56])
    turned = Square(30 + 20j, 0 + 16j)  # by 90 degrees: its right edge lies below its centre
    assert torch.equal(cut_mask(known, turned, 32), known[..., 4:36, 14:46].rot90(1, (2, 3)))
    coarse = cut_mask(tensor(~hole()), Square(32 + 32j, 32 + 0j), 32)
    assert (coarse[0, 0].numpy() != ~hole(32)).sum() <= 8


def test_nothing_is_known_beyond_the_photo() -> None:
    known = torch.ones(1, 1, 32, 32, dtype=torch.bool)
    made = cut_mask(known, Square(32 + 8j, 16 + 0j), 32)
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[8:, :16] = True
    assert torch.equal(made[0, 0], expected)


# --- the task of that name


def test_the_mask_task_takes_a_mask_of_any_size_of_the_same_shape(tmp_path: Path) -> None:
    ones = torch.ones(1, 3, 32, 32)
    path = saved(tmp_path / "mask.png", grey(hole()))
    y = make_physics(f"mask:{path}", (3, 32, 32))(ones)
    assert torch.equal(y[0, 0] > 0, resize_mask(tensor(hole()), 32, 32)[0, 0])  # white is known
    with pytest.raises(InputError, match="mask.png: the mask is 64x64 but the photo 32x16"):
        make_physics(f"mask:{path}", (3, 16, 32))
