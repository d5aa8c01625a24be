"""Photos that are the measurements themselves."""

from pathlib import Path

import pytest
import torch

from interlayer import InputError, make_physics, read_image, write_image
from interlayer.recipes.damaged_photos import read_measured

SIZE = (3, 64, 64)


@pytest.fixture
def x() -> torch.Tensor:
    """A smooth picture."""
    ramp = torch.linspace(0.2, 0.8, 64)
    return torch.stack([ramp.expand(64, 64), ramp.expand(64, 64).T, torch.full((64, 64), 0.4)])[
        None
    ]


@pytest.mark.parametrize("task", ["superres:4", "box:0.2", "colorize", "jpeg:30", "superres-avg:2"])
def test_a_picture_of_measurements_gives_the_measurements(tmp_path: Path, x, task):
    y = make_physics(task, SIZE).A(x)
    write_image(tmp_path / "y.png", y.expand(-1, 3, -1, -1))
    made = read_measured(tmp_path / "y.png", task, SIZE)
    assert (made.y - y).abs().max() < 1 / 255
    assert made.task is not None and made.task.text == task
    assert made.physics.A(x).shape == made.y.shape


@pytest.mark.parametrize(("task", "sigma"), [("denoise", 0.1), ("superres:2+denoise", 0.05)])
def test_the_noise_of_a_photo_is_estimated(tmp_path: Path, x, task, sigma):
    noisy = make_physics(f"{task}:{sigma}", SIZE)(x)
    write_image(tmp_path / "noisy.png", noisy)
    notes = []
    made = read_measured(tmp_path / "noisy.png", task, SIZE, note=notes.append)
    assert made.task is not None
    before, _, level = made.task.text.rpartition(":")
    assert before == task and float(level) == pytest.approx(sigma, rel=0.15)
    assert level in notes[-1]


def test_a_photo_without_noise_still_has_a_level(tmp_path: Path):
    write_image(tmp_path / "flat.png", torch.full((1, *SIZE), 0.5))
    made = read_measured(tmp_path / "flat.png", "denoise", SIZE)
    assert made.task is not None and made.task.text == "denoise:0.001"


def test_missing_pixels_do_not_matter(tmp_path: Path, x):
    missing = make_physics("half:left", SIZE).A(torch.ones_like(x)) == 0
    write_image(tmp_path / "a.png", x)
    write_image(tmp_path / "b.png", torch.where(missing, 1.0, x))
    a, b = (read_measured(tmp_path / name, "half:left", SIZE).y for name in ("a.png", "b.png"))
    assert torch.equal(a, b)
    assert torch.equal(a[~missing], read_image(tmp_path / "a.png")[~missing])


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("circulant:0.1", "measures no square picture"),
        ("half:left+denoise", "cannot be estimated where pixels are missing"),
        ("blur", "there is no task"),
    ],
)
def test_what_cannot_be_a_photo_is_refused(tmp_path: Path, x, task, why):
    write_image(tmp_path / "x.png", x)
    with pytest.raises(InputError, match=why):
        read_measured(tmp_path / "x.png", task, SIZE)
