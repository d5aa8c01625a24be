"""Photos and masks as people have them, each of which once went wrong."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from interlayer import Problem, make_physics, metrics, read_image, reconstruct, write_image
from interlayer.generators import ToyGenerator
from interlayer.media.samples import sample_photo
from interlayer.problem.blur import gaussian_kernel
from interlayer.recipes.damaged_photos import Reading, misfit_of, misfit_sentence, read_measured

SIZE = (3, 128, 128)
SEPIA = torch.tensor([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


@pytest.fixture(scope="module")
def x() -> Tensor:
    return sample_photo("astronaut", 128)


def read(path: Path, task: str, **kwargs) -> tuple[Problem, str]:
    notes = list[str]()
    problem = read_measured(path, task, SIZE, note=notes.append, **kwargs).problem
    return problem, "; ".join(notes)


def solved(problem: Problem, method: str) -> Tensor:
    states = reconstruct(problem, ToyGenerator(128), method, quality="draft")
    return deque(states, maxlen=1)[0].solution().x_hat


def psnr(x_hat: Tensor, x: Tensor) -> float:
    return metrics(x_hat, x)["psnr"]


@pytest.mark.parametrize("task", ["deblur", "deblur:2", "deblur:3"])
def test_a_blurred_photo_comes_out_better_than_it_was(tmp_path, x, task):
    """Edges that go on, 8 bits, and a level that is not given, right, or wrong by half."""
    write_image(tmp_path / "blurred.png", make_physics("deblur:2,open", SIZE).A(x))
    problem, _ = read(tmp_path / "blurred.png", task)
    x_hat, blurred = solved(problem, "auto"), read_image(tmp_path / "blurred.png")
    assert psnr(x_hat, x) > psnr(blurred, x) + 1


@pytest.mark.parametrize("quality", [90, 60])
def test_a_blurred_photo_that_was_compressed_is_never_worse_than_it_was(tmp_path, x, quality):
    blurred = make_physics("deblur:1", SIZE).A(x)[0].clamp(0, 1)
    picture = Image.fromarray(blurred.mul(255).round().byte().permute(1, 2, 0).numpy())
    picture.save(tmp_path / "blurred.jpg", quality=quality)
    problem, _ = read(tmp_path / "blurred.jpg", "deblur:1,open")
    assert psnr(solved(problem, "auto"), x) > psnr(read_image(tmp_path / "blurred.jpg"), x) - 0.1


def test_a_kernel_is_scaled_with_the_photo(tmp_path):
    kernel = gaussian_kernel(4.0, 31)
    write_image(tmp_path / "kernel.png", (kernel / kernel.max()).expand(-1, 3, -1, -1))
    photo = sample_photo("astronaut", 256)
    write_image(tmp_path / "blurred.png", make_physics("deblur:4,open", (3, 256, 256)).A(photo))
    problem, said = read(tmp_path / "blurred.png", f"deblur:{tmp_path / 'kernel.png'}")
    assert "measured at 128x128" in said
    error = problem.physics.A(sample_photo("astronaut", 128)) - problem.y
    assert error.square().mean().sqrt() < 0.02


def test_what_is_transparent_is_no_data(tmp_path, x):
    levels = x[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    alpha = np.full((128, 128, 1), 255, np.uint8)
    alpha[40:60, 30:90] = 0
    Image.fromarray(np.concatenate([levels, alpha], -1)).save(tmp_path / "hole.png")
    problem, said = read(tmp_path / "hole.png", "")
    assert problem.known is not None and "transparent" in said
    assert torch.equal(~problem.known[0, 0], torch.from_numpy(alpha[..., 0] == 0))
    assert (problem.y[..., 40:60, 30:90] == 0).all()


@pytest.mark.parametrize("order", ["mask:{0}+colorize", "colorize+mask:{0}"])
def test_scratches_of_an_old_print_are_no_data_in_any_order(tmp_path, x, order):
    scratched = torch.einsum("ij,bjhw->bihw", SEPIA, 0.7 * x)
    scratched[..., 60:64, :] = 0.9
    write_image(tmp_path / "print.png", scratched)
    mask = np.full((256, 256), 255, np.uint8)  # drawn at another size
    mask[120:128] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    problem, said = read(tmp_path / "print.png", order.format(tmp_path / "mask.png"))
    assert problem.y.shape == (1, 1, 128, 128) and "96.9 % of the picture is known" in said
    assert (problem.y[..., 60:64, :] == 0).all() and (problem.y[..., :60, :] > 0).any()
    again = problem.physics.A(torch.full((1, *SIZE), 0.5))
    assert (again[..., 60:64, :] == 0).all()


def test_white_as_the_hole_can_be_said(tmp_path, x):
    write_image(tmp_path / "photo.png", x)
    mask = np.zeros((128, 128), np.uint8)
    mask[:90] = 255  # more than a third, so that it would be taken as known
    Image.fromarray(mask).save(tmp_path / "mask.png")
    task = f"mask:{tmp_path / 'mask.png'}"
    shares = {}
    for meaning in (None, "known", "hole"):
        problem, _ = read(tmp_path / "photo.png", task, reading=Reading(meaning=meaning))
        assert problem.known is not None
        shares[meaning] = problem.known.float().mean().item()
    assert shares[None] == shares["known"] == pytest.approx(90 / 128)
    assert shares["hole"] == pytest.approx(38 / 128)


def test_the_white_of_a_12_bit_photo_is_told_and_can_be_said(tmp_path, x):
    levels = (x[0].mean(0) * 4095).round().numpy().astype(np.uint16)
    Image.fromarray(levels).save(tmp_path / "deep.png")
    problem, said = read(tmp_path / "deep.png", "denoise")
    assert "12-bit" in said
    darker, _ = read(tmp_path / "deep.png", "denoise", reading=Reading(white=8190))
    assert torch.allclose(darker.y, problem.y / 2, atol=1e-3)


def test_noise_and_compression_are_both_accounted_for(tmp_path):
    x = sample_photo("astronaut", 128)
    noisy = x + 0.06 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    picture = Image.fromarray((noisy[0] * 255).clamp(0, 255).byte().permute(1, 2, 0).numpy())
    picture.save(tmp_path / "noisy.jpg", quality=75, subsampling=0)
    problem, said = read(tmp_path / "noisy.jpg", "denoise")
    assert problem.task is not None and "jpeg-file" in problem.task.text
    assert "the noise is estimated" in said
    misfit = misfit_of(problem, x)
    assert misfit is not None and misfit < 1.5


def test_a_misfit_is_about_1_where_the_model_is_right_and_told_where_it_is_not(tmp_path, x):
    noisy = x + 0.06 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "noisy.png", noisy)
    right, _ = read(tmp_path / "noisy.png", "denoise:0.06")
    assert misfit_of(right, x) == pytest.approx(1, abs=0.05)
    assert misfit_sentence(right, x) is None
    wrong, _ = read(tmp_path / "noisy.png", "denoise:0.02")
    sentence = misfit_sentence(wrong, x)
    assert sentence is not None and "is 2.9 times the noise" in sentence
    assert misfit_of(Problem(wrong.physics, wrong.y), x) == misfit_of(wrong, x)


def test_a_thumbnail_of_8_pixels_is_measured_as_it_is(tmp_path):
    small = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "thumb.png", small)
    problem, _ = read(tmp_path / "thumb.png", "superres")
    assert problem.task is not None and problem.task.text.startswith("superres:16+")
    assert torch.equal(problem.y, read_image(tmp_path / "thumb.png"))
