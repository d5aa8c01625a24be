"""Photos that are the measurements themselves."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from interlayer import InputError, Problem, make_physics, read_image, write_image
from interlayer.media.samples import sample_photo
from interlayer.methods.classical import plain
from interlayer.problem.blur import OpenBlur
from interlayer.problem.linear import operators_of
from interlayer.recipes.damaged_photos import read_measured

SIZE = (3, 64, 64)


def measured(*args, **kwargs) -> Problem:
    """The problem that a photo is."""
    return read_measured(*args, **kwargs).problem


@pytest.fixture
def x() -> torch.Tensor:
    """A smooth picture."""
    ramp = torch.linspace(0.2, 0.8, 64)
    return torch.stack([ramp.expand(64, 64), ramp.expand(64, 64).T, torch.full((64, 64), 0.4)])[
        None
    ]


ROUNDING = "denoise:0.001132"


@pytest.mark.parametrize(
    ("task", "made"),
    [
        ("superres:4", f"superres:4+{ROUNDING}"),
        ("superres-avg:2", f"superres-avg:2+{ROUNDING}"),
        ("colorize", f"colorize+{ROUNDING}"),
        ("box:0.2", "mask:seen"),
    ],
)
def test_a_picture_of_measurements_gives_the_measurements(tmp_path: Path, x, task, made):
    y = make_physics(task, SIZE).A(x)
    write_image(tmp_path / "y.png", y.expand(-1, 3, -1, -1))
    problem = measured(tmp_path / "y.png", task, SIZE)
    assert (problem.y - y).abs().max() < 1 / 255
    assert problem.task is not None and problem.task.text == made
    assert problem.approximate and problem.physics.A(x).shape == problem.y.shape


@pytest.mark.parametrize(("side", "factor"), [(16, "4"), (48, "1.33333"), (9, "7.11111")])
def test_the_factor_follows_from_the_sizes(tmp_path: Path, x, side, factor):
    write_image(tmp_path / "y.png", x[..., :side, :side])
    problem = measured(tmp_path / "y.png", "superres", SIZE)
    assert problem.task is not None and problem.task.text == f"superres:{factor}+{ROUNDING}"
    assert problem.y.shape[-1] == side and problem.physics.A(x).shape == problem.y.shape


@pytest.mark.parametrize(("task", "sigma"), [("denoise", 0.1), ("superres:2+denoise", 0.05)])
def test_the_noise_of_a_photo_is_estimated(tmp_path: Path, x, task, sigma):
    noisy = make_physics(f"{task}:{sigma}", SIZE)(x)
    write_image(tmp_path / "noisy.png", noisy)
    notes = []
    made = measured(tmp_path / "noisy.png", task, SIZE, note=notes.append)
    assert made.task is not None
    before, _, level = made.task.text.rpartition(":")
    assert before == task and float(level) == pytest.approx(sigma, rel=0.15)
    assert any("the noise is estimated" in note for note in notes)


def test_the_noise_of_a_photo_with_a_hole_is_that_of_its_rest(tmp_path: Path, x):
    noisy = make_physics("denoise:0.1", SIZE)(x)
    noisy[..., :24] = torch.rand(1, 3, 64, 24)
    mask = torch.ones(1, 3, 64, 64)
    mask[..., :24] = 0
    write_image(tmp_path / "noisy.png", noisy)
    write_image(tmp_path / "mask.png", mask)
    problem = measured(tmp_path / "noisy.png", f"mask:{tmp_path / 'mask.png'}+denoise", SIZE)
    assert problem.task is not None and problem.noise.sigma == pytest.approx(0.1, rel=0.15)
    assert (problem.y[..., :24] == 0).all() and problem.physics.A(x)[..., :24].eq(0).all()


@pytest.mark.parametrize("quality", [90, 30])
def test_a_jpeg_file_is_measured_by_its_own_numbers(tmp_path: Path, quality):
    photo = sample_photo("astronaut", 64)
    Image.fromarray(photo[0].mul(255).round().byte().permute(1, 2, 0).numpy()).save(
        tmp_path / "y.jpg", quality=quality
    )
    problem = measured(tmp_path / "y.jpg", "superres", SIZE)
    assert problem.task is not None and problem.task.text.startswith("jpeg-file:0,0,0+denoise:")
    assert problem.noise.sigma is not None
    assert (problem.physics.A(photo) - problem.y).std() < 2 * problem.noise.sigma
    decoded = read_image(tmp_path / "y.jpg")
    assert (plain(problem) - decoded).abs().max() < 1e-3


def test_the_blur_of_a_photo_is_estimated_and_a_wrong_level_is_doubted(tmp_path: Path):
    photo, size = sample_photo("astronaut"), (3, 512, 512)
    write_image(tmp_path / "y.png", make_physics("deblur:3,open", size).A(photo))
    levels = []
    for task in ("deblur", "deblur:3", "deblur:6"):
        notes = []
        problem = measured(tmp_path / "y.png", task, size, note=notes.append)
        assert problem.task is not None
        levels.append(float(problem.task.text.split(":")[1].split(",")[0]))
    assert levels == pytest.approx([3, 3, 3], rel=0.15) and levels[1] == 3
    assert "deblur:6 was given, but the photo shows" in notes[0]


def test_a_blur_of_no_known_shape_is_estimated(tmp_path: Path):
    photo, size = sample_photo("astronaut")[..., :256, 100:356], (3, 256, 256)
    hook = torch.zeros(1, 1, 15, 15)
    hook[..., 3:12, 4], hook[..., 11, 4:12] = 1, 0.6
    write_image(tmp_path / "y.png", OpenBlur(size, hook / hook.sum()).A(photo))
    notes = []
    read = read_measured(tmp_path / "y.png", "deblur:free", size, note=notes.append)
    assert any(note.startswith("a blur of any shape is estimated") for note in notes)
    impulse = torch.zeros(1, *size)
    impulse[..., 128, 128] = 1
    blur = next(p for p in operators_of(read.problem.physics) if isinstance(p, OpenBlur))
    seen = blur.A(impulse)[:, :1, 96:160, 96:160]
    cosine = F.conv2d(seen, hook, padding=14).max() / seen.norm() / hook.norm()
    assert cosine > 0.9


def test_a_photo_too_small_for_its_blur_is_refused(tmp_path: Path, x):
    write_image(tmp_path / "y.png", x)
    with pytest.raises(InputError, match="at least 128x128 intact pixels"):
        read_measured(tmp_path / "y.png", "deblur:free", tuple(x.shape[1:]))


def test_what_lies_beyond_the_edges_is_not_believed(tmp_path: Path):
    scene, size = sample_photo("astronaut"), (3, 256, 256)
    cut = make_physics("deblur:4,open", (3, 512, 512)).A(scene)[..., 128:384, 128:384]
    write_image(tmp_path / "y.png", cut)
    problem = measured(tmp_path / "y.png", "deblur:4", size)
    error = (problem.physics.A(scene[..., 128:384, 128:384]) - problem.y).abs()
    periodic = make_physics("deblur:4", size).A(scene[..., 128:384, 128:384]) - cut
    assert error.max() < 0.1 and periodic.abs().max() > 0.3


def test_stuck_pixels_are_taken_as_missing(tmp_path: Path):
    photo, rng = sample_photo("astronaut", 256), torch.Generator().manual_seed(0)
    stuck = torch.rand(1, 1, 256, 256, generator=rng) < 0.05
    salt = (torch.rand(1, 1, 256, 256, generator=rng) < 0.5).float()
    write_image(tmp_path / "y.png", torch.where(stuck, salt, photo * 0.8 + 0.1))
    notes = []
    problem = measured(tmp_path / "y.png", "denoise", (3, 256, 256), note=notes.append)
    assert problem.measured is not None and "stuck at black or white" in " ".join(notes)
    assert (problem.measured & stuck).sum() < 0.2 * stuck.sum()
    assert problem.measured.float().mean() > 0.94


def test_a_photo_without_noise_still_has_a_level(tmp_path: Path):
    write_image(tmp_path / "flat.png", torch.full((1, *SIZE), 0.5))
    made = measured(tmp_path / "flat.png", "denoise", SIZE)
    assert made.task is not None and made.task.text == "denoise:0.001"


def test_missing_pixels_do_not_matter(tmp_path: Path, x):
    missing = make_physics("half:left", SIZE).A(torch.ones_like(x)) == 0
    write_image(tmp_path / "a.png", x)
    write_image(tmp_path / "b.png", torch.where(missing, 1.0, x))
    a, b = (measured(tmp_path / name, "half:left", SIZE).y for name in ("a.png", "b.png"))
    assert torch.equal(a, b)
    assert torch.equal(a[~missing], read_image(tmp_path / "a.png")[~missing])


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("circulant:0.1", "measures no square picture"),
        ("jpeg", "give the quality it once had"),
        ("superres:0.5", "above 1 and at most 128"),
        ("blur", "there is no task"),
    ],
)
def test_what_cannot_be_a_photo_is_refused(tmp_path: Path, x, task, why):
    write_image(tmp_path / "x.png", x)
    with pytest.raises(InputError, match=why):
        measured(tmp_path / "x.png", task, SIZE)
