"""Unknown blurs, estimated from a photo alone."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from interlayer import InputError
from interlayer.media.jpeg_tables import read_tables
from interlayer.media.samples import sample_photo
from interlayer.problem.blur import OpenBlur
from interlayer.problem.blur_level import Blur, estimate_blur


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    """A photo at its own sharpness: what is estimated is what is added."""
    return sample_photo("astronaut")


def blurred(x: torch.Tensor, blur: Blur) -> torch.Tensor:
    kernel = blur.kernel(largest=127)
    return OpenBlur(tuple(x.shape[1:]), kernel).A(x).mul(255).round() / 255


@pytest.mark.parametrize("sigma", [1.5, 3, 6])
def test_the_width_of_a_gaussian_is_found_within_15_percent(photo, sigma):
    found = estimate_blur(blurred(photo, Blur("gaussian", sigma)))
    assert found.shape == "gaussian" and found.size == pytest.approx(sigma, rel=0.15)


@pytest.mark.parametrize(("length", "angle"), [(12, 0), (15, 110), (24, 40)])
def test_the_length_and_the_angle_of_a_line_are_found(photo, length, angle):
    found = estimate_blur(blurred(photo, Blur("line", length, angle)))
    assert found.shape == "line" and found.size == pytest.approx(length, rel=0.2)
    assert abs((found.angle - angle + 90) % 180 - 90) <= 8


def test_a_disc_is_told_from_a_gaussian(photo):
    found = estimate_blur(blurred(photo, Blur("disc", 6)))
    assert found.shape == "disc" and found.size == pytest.approx(6, rel=0.2)


def test_a_sharp_photo_and_a_tiny_one_have_no_blur(photo):
    assert estimate_blur(photo).shape == "none"
    assert estimate_blur(photo[..., :40, :40]).shape == "none"


def test_missing_pixels_do_not_matter(photo):
    y = blurred(photo, Blur("gaussian", 3))
    known = torch.ones_like(y[:, :1], dtype=torch.bool)
    known[..., 300:420, 100:220] = False
    damaged = torch.where(known, y, torch.rand_like(y))
    found = estimate_blur(damaged, known=known)
    assert found.shape == "gaussian" and found.size == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize("blur", [Blur("gaussian", 3), Blur("gaussian", 5), Blur("disc", 5)])
def test_what_jpeg_removes_is_no_blur(photo, blur):
    y, luma = saved(blurred(photo, blur), quality=60)
    found = estimate_blur(y, ("gaussian", "disc"), steps=luma)
    assert found.shape == blur.shape and found.size == pytest.approx(blur.size, rel=0.15)


def test_a_sharp_photo_of_low_quality_has_no_blur(photo):
    y, luma = saved(photo, quality=30)
    assert estimate_blur(y, ("gaussian", "disc"), steps=luma).shape == "none"


def test_the_rows_of_steps_are_vertical_frequencies(photo):
    y, _ = saved(blurred(photo, Blur("gaussian", 3)), quality=60)
    steps = torch.full((8, 8), 10.0)
    steps[1:] = 10000  # nothing but the columns' means, whose frequencies are horizontal
    found = estimate_blur(y, ("gaussian",), steps=steps)
    turned = estimate_blur(y.mT, ("gaussian",), steps=steps.T)
    assert found.size == pytest.approx(turned.size, rel=0.02)


def saved(x: torch.Tensor, quality: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A photo after a JPEG file, and the file's steps of brightness."""
    file, pixels = io.BytesIO(), x[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    tables = read_tables(Image.open(file), 1)
    assert tables is not None
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255, tables.luma


@pytest.mark.parametrize("blur", [Blur("gaussian", 2), Blur("disc", 3), Blur("line", 9, 30)])
def test_kernels_have_sum_1_and_scale_with_the_picture(blur):
    kernel, larger = blur.kernel(largest=63)[0, 0], blur.scaled(2).kernel(largest=127)[0, 0]
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    assert spread(larger) == pytest.approx(2 * spread(kernel), rel=0.1)


def spread(kernel: torch.Tensor) -> float:
    places = torch.arange(len(kernel)) - len(kernel) // 2
    return (kernel * (places.square()[:, None] + places.square())).sum().sqrt().item()


def test_what_is_no_blur_is_refused():
    with pytest.raises(InputError, match="positive size"):
        Blur("disc", 0.0)
    with pytest.raises(InputError, match="180.0 degrees"):
        Blur("line", 3.0, 180.0)
    with pytest.raises(InputError, match="cube"):
        estimate_blur(torch.rand(1, 3, 64, 64), shapes=("cube",))
