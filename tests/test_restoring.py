"""Restoration of whole photos: what is found, what is changed and what is not."""

import dataclasses
from collections import deque

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators import ToyGenerator
from interlayer.media.faces import Square, cut
from interlayer.media.photos import Photo
from interlayer.media.samples import sample_photo
from interlayer.media.tones import luma_of, tone_of
from interlayer.problem.blur_level import Blur
from interlayer.problem.catalogue import OPEN
from interlayer.problem.tasks import make_physics
from interlayer.recipes.restoring import (
    Findings,
    Place,
    Plan,
    enlargement,
    examine,
    face_problem,
    restore,
)

TOY = ToyGenerator(64)
SEPIA = torch.tensor([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def photo_of(x: Tensor, known: Tensor | None = None) -> Photo:
    return Photo(x.mul(255).round() / 255, known, None, 1, ())


@pytest.fixture(scope="module")
def astronaut() -> Tensor:
    return sample_photo("astronaut")


@pytest.fixture(scope="module")
def found(astronaut: Tensor) -> Findings:
    return examine(photo_of(astronaut))


@pytest.fixture(scope="module")
def wide(astronaut: Tensor) -> Tensor:
    """A photo too large to be enlarged, with two faces, one of them half as large."""
    small = F.interpolate(astronaut, (256, 256), mode="bicubic", antialias=True)
    return torch.cat([astronaut, F.pad(small, (0, 0, 128, 128), value=0.5)], -1).clamp(0, 1)


def restored(photo: Photo, plan: Plan) -> Tensor:
    return deque(restore(photo, plan, TOY), maxlen=1)[0].picture()


def squared_error(a: Tensor, b: Tensor) -> float:
    return (a - b).square().mean().item()


def test_nothing_is_found_in_a_photo_that_lacks_nothing(found):
    assert len(found.faces) == 1 and found.faces[0].side == pytest.approx(170, abs=5)
    nothing = (found.noise, found.blur.shape, found.jpeg, found.toned, found.known)
    assert nothing == (0.0, "none", False, False, None)
    assert found.sentences() == ["A face, 170 pixels wide", "No noise to be seen", "No blur"]


def test_noise_blur_tone_and_stuck_pixels_are_found(astronaut):
    seeded = torch.Generator().manual_seed(0)
    noisy = astronaut + 0.06 * torch.randn(astronaut.shape, generator=seeded)
    assert examine(photo_of(noisy)).noise == pytest.approx(0.06, rel=0.15)
    blurred = make_physics("deblur:3,open", tuple(astronaut.shape[1:])).A(astronaut)
    blur = examine(photo_of(blurred)).blur
    assert blur.shape == "gaussian" and blur.size == pytest.approx(3, rel=0.15)
    old = torch.einsum("ij,bjhw->bihw", SEPIA, astronaut).clamp(0, 1)
    assert examine(photo_of(old)).toned
    stuck = torch.rand(1, 1, 512, 512, generator=seeded) < 0.05
    found = examine(photo_of(torch.where(stuck, (torch.rand(1, 1, 512, 512) > 0.5).float(), old)))
    assert found.known is not None
    assert found.known.logical_not().float().mean().item() == pytest.approx(0.05, rel=0.2)


def test_what_is_around_faces_is_untouched_and_every_face_restored(wide):
    photo = photo_of(wide)
    found = dataclasses.replace(examine(photo), blur=Blur("gaussian", 1))
    assert len(found.faces) == 2 and found.faces[0].side > 1.8 * found.faces[1].side
    after = restored(photo, Plan(found, quality="draft"))
    changed = (after != photo.x).any(1)[0]
    rows, columns = torch.meshgrid(torch.arange(512), torch.arange(768), indexing="ij")
    z = torch.complex(columns + 0.5, rows + 0.5)
    inside = torch.zeros(512, 768, dtype=torch.bool)
    for face in found.faces:
        v = (z - face.centre) / face.axis
        here = torch.maximum(v.real.abs(), v.imag.abs()) < 1
        assert changed[here].float().mean() > 0.5
        inside |= here
    assert not changed[~inside].any()
    only_one = restored(photo, Plan(dataclasses.replace(found, faces=found.faces[:1])))
    assert torch.equal(only_one[..., 512:], photo.x[..., 512:])


def test_holes_are_filled_and_noise_is_removed_everywhere(astronaut):
    x = astronaut[..., :128, 300:428]
    known = torch.ones(1, 1, 128, 128, dtype=torch.bool)
    known[..., 60:64, :] = False
    photo = photo_of(x.where(known, 1.0), known)
    after = F.avg_pool2d(restored(photo, Plan(Findings(known=known))), 8)
    assert squared_error(after, x) < 0.05 * squared_error(photo.x, x)
    noisy = photo_of(x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))
    after = F.avg_pool2d(restored(noisy, Plan(Findings(noise=0.1))), 8)
    assert squared_error(after, x) < 0.1 * squared_error(noisy.x, x)


def test_small_photos_are_enlarged_and_others_keep_their_size(astronaut):
    sizes = {48: 21, 512: 2, 513: 1, 3000: 1}
    for side, factor in sizes.items():
        assert enlargement(photo_of(torch.zeros(1, 3, 16, side))) == factor
    small = photo_of(astronaut[..., :32, :48])
    assert restored(small, Plan(Findings())).shape == (1, 3, 32 * 21, 48 * 21)


def test_a_large_photo_that_shows_no_damage_stays_as_it_is(wide):
    photo, notes = photo_of(wide), list[str]()
    found = Findings(examine(photo).faces)
    assert len(found.faces) == 2 and found.sound
    (only,) = restore(photo, Plan(found), TOY, notes.append)
    assert torch.equal(only.picture(), photo.x) and only.fraction == 1
    assert len(notes) == 1 and notes[0].startswith("nothing is seen to be wrong with it")
    wrong = [Findings(noise=0.1), Findings(jpeg=True), Findings(toned=True)]
    wrong += [Findings(blur=Blur("disc", 2)), Findings(known=torch.ones(1, 1, 1, 1))]
    assert not any(each.sound for each in wrong)


def test_a_toned_photo_keeps_its_tone_unless_colours_are_wanted(astronaut, found):
    old = torch.einsum("ij,bjhw->bihw", SEPIA, astronaut * 0.7)
    photo = photo_of(old)
    told = dataclasses.replace(found, toned=True)
    tone = tone_of(photo.x, torch.ones(1, 1, 512, 512, dtype=torch.bool))
    assert tone is not None and not tone.grey
    brown = restored(photo, Plan(told, quality="draft"))
    assert (tone(brown) - brown).abs().max() < 0.02
    coloured = restored(photo, Plan(told, colorize=True, quality="draft"))
    outside = (..., slice(600, None), slice(None))
    assert (tone(coloured) - coloured)[outside].abs().max() < 0.02
    at = found.faces[0].centre * 2
    middle = coloured[..., round(at.imag), round(at.real)]
    assert (middle[0] - tone(middle[..., None, None])[0, :, 0, 0]).abs().max() > 0.02
    assert (luma_of(coloured) - luma_of(brown)).abs().mean() < 0.02


@pytest.mark.parametrize("degrees", [0, 30, 90])
def test_a_smear_is_turned_with_its_face(degrees):
    turn = torch.polar(torch.tensor(60.0), torch.tensor(degrees * torch.pi / 180)).item()
    found = Findings(blur=Blur("line", 8, 20))
    problem = face_problem(
        photo_of(torch.rand(1, 3, 200, 200)), Square(100 + 100j, turn), Plan(found), TOY
    )
    assert problem.task is not None
    length = 8 * 64 / 120
    assert f"motion:{length:.4g},{20 + degrees}{OPEN}" in problem.task.text


def test_levels_that_are_told_are_those_of_the_photo():
    x = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    found = Findings(noise=0.08, blur=Blur("gaussian", 4))
    problem = face_problem(photo_of(x), Square(128 + 128j, 64 + 0j), Plan(found), TOY)
    assert problem.task is not None and problem.task.text.startswith(f"deblur:1.9{OPEN}")
    assert problem.noise.sigma == pytest.approx(0.04, rel=0.05)
    assert problem.approximate


def test_no_seam_is_left_at_the_border_of_a_face():
    """The step across the border is no larger than the one a pixel inside."""
    photo = torch.full((1, 3, 200, 200), 0.4)
    face = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    laid = Place(Square(100 + 100j, 40 + 0j)).with_face(photo, face)
    across, inside = (
        (laid[..., 60:140, column] - laid[..., 60:140, column - 1]).abs().mean()
        for column in (60, 61)
    )
    assert 0 < across <= 2 * inside
    assert torch.equal(laid[..., :60], photo[..., :60])


def test_detail_finer_than_the_generators_pixels_is_kept(astronaut, found):
    """A face that comes out as it was gives the photo back, however coarse the generator."""
    square = found.faces[0]
    seen = F.interpolate(cut(astronaut, square, 170), (64, 64), mode="bicubic", antialias=True)
    again = Place(square).with_face(astronaut, seen)
    assert squared_error(again, astronaut) < 1e-5


def test_a_turned_face_is_measured_by_the_photos_own_pixels(astronaut):
    """The measurements are the photo's, and the operator is the way from the face to them."""
    photo = photo_of(astronaut)
    square = Square(226 + 118j, 26 + 5j)  # as large as the generator's images, or less
    problem = face_problem(photo, square, Plan(Findings()), TOY)
    assert problem.measured is not None and problem.square is not None
    corner = problem.square.centre - square.centre
    top, left = round(-corner.imag), round(-corner.real)
    side = problem.y.shape[-1]
    region = photo.x[..., top : top + side, left : left + side]
    assert torch.equal(problem.y, region * problem.measured)
    again = (problem.physics.A(cut(photo.x, square, 64)) - problem.y)[
        problem.measured.expand_as(region)
    ]
    assert again.square().mean().sqrt() < 0.02


def test_the_same_seed_gives_the_same_photo(astronaut, found):
    plan = Plan(found, quality="draft", seed=3)
    once, again = (restored(photo_of(astronaut), plan) for _ in range(2))
    assert torch.equal(once, again)
