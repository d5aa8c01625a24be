"""JPEG files and open blurs as linear operators."""

from io import BytesIO

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from interlayer.media.samples import sample_photo
from interlayer.problem.blur import OpenBlur, gaussian_kernel
from interlayer.problem.jpeg_coefficients import JPEGCoefficients, Steps, believed


def dot_test(physics, size):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, *size, generator=rng)
    y = torch.randn(physics.A(x).shape, generator=rng)
    torch.testing.assert_close((physics.A(x) * y).sum(), (x * physics.A_adjoint(y)).sum())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("offset", [(0, 0), (3, 5)])
def test_the_adjoints_of_photos_pass_the_dot_test(channels, offset):
    size = (channels, 43, 37)
    dot_test(JPEGCoefficients(size, Steps.of_quality(50), offset), size)
    dot_test(OpenBlur(size, gaussian_kernel(2.0, 64) * torch.rand(1, 1, 17, 17)), size)


def test_an_open_blur_repeats_the_edge():
    x, kernel = torch.rand(1, 3, 20, 17), torch.rand(1, 1, 5, 5)
    padded = F.pad(x, [2] * 4, mode="replicate")
    expected = F.conv2d(padded, kernel.flip(-1, -2).expand(3, 1, -1, -1), groups=3)
    torch.testing.assert_close(OpenBlur((3, 20, 17), kernel).A(x), expected)


@pytest.mark.parametrize("quality", [90, 50])
def test_the_coefficients_of_a_file_are_whole_steps_with_errors_of_the_size_said(quality):
    photo = sample_photo("astronaut", 256)[:, :1].mul(255).round() / 255
    with BytesIO() as file:
        grey = photo[0, 0].mul(255).round().byte().numpy()
        Image.fromarray(grey).save(file, "JPEG", quality=quality)
        with Image.open(file) as decoded:
            y = torch.from_numpy(np.array(decoded))[None, None] / 255
    steps = Steps.of_quality(quality)
    physics = JPEGCoefficients((1, 256, 256), steps)
    numbers = physics.A(y) / physics.scale
    assert (numbers - numbers.round()).abs().median() < 0.05
    errors = physics.A(y) - physics.A(photo)
    live = numbers.abs() > 0.5
    assert errors[live].std().item() == pytest.approx(physics.sigma, rel=0.15)
    raw = (errors.std() / physics.sigma).item()
    narrowed = believed(steps, y)
    assert (narrowed.luma <= steps.luma).all()
    physics = JPEGCoefficients((1, 256, 256), narrowed)
    errors = physics.A(y) - physics.A(photo)
    assert raw < 0.9 * (errors.std() / physics.sigma).item() < 1


def test_blocks_that_are_cut_or_partly_seen_are_measured_by_their_pixels():
    rng = torch.Generator().manual_seed(0)
    seen = torch.ones(1, 1, 43, 37)
    seen[..., 20, 17] = 0  # in the block whose corner is (16, 16)
    steps, size = Steps.of_quality(50), (3, 43, 37)
    physics = JPEGCoefficients(size, steps, (0, 0), seen=seen)
    dot_test(physics, size)
    x = torch.rand(1, *size, generator=rng)
    y = physics.A(x)
    assert physics.shown(torch.ones_like(y)).equal(seen > 0)
    torch.testing.assert_close(physics.decoded(y) * seen, x * seen)
    changed = x.clone()
    changed[..., 20, 17] += 1
    assert physics.A(changed).equal(y)
    unused = torch.ones_like(y[:, :1])
    unused[..., 21, 18] = unused[..., 1, 1] = 0  # a pixel, and a coefficient of a whole block
    known = seen.clone()
    known[..., 21, 18] = 0
    assert physics.shown(unused).equal(known > 0)


def test_errors_of_pixels_are_as_large_as_those_of_coefficients():
    rng = torch.Generator().manual_seed(0)
    steps, size = Steps.of_quality(50), (3, 64, 64)
    whole = JPEGCoefficients(size, steps)
    errors = whole.sigma * torch.randn(8, *size, generator=rng)
    seen = torch.ones(1, 1, 64, 64)
    seen[..., ::8, ::8] = 0
    pixels = JPEGCoefficients(size, steps, seen=seen)
    measured = pixels.A(whole.decoded(errors))[:, :, seen[0, 0] > 0]
    assert measured.std((0, 2)) / whole.sigma == pytest.approx([1, 1, 1], rel=0.02)


def test_coarse_colours_err_by_what_their_steps_say():
    photo = sample_photo("astronaut", 256).mul(255).round() / 255
    with BytesIO() as file:
        pixels = photo[0].mul(255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(file, "JPEG", quality=90, subsampling="4:2:0")
        with Image.open(file) as decoded:
            y = torch.from_numpy(np.array(decoded)).permute(2, 0, 1)[None] / 255
    steps = Steps.of_quality(90)
    found = {}
    for name, used in {"full": steps, "half": steps.subsampled(2, 2)}.items():
        physics = JPEGCoefficients((3, 256, 256), used)
        errors = ((physics.A(y) - physics.A(photo)) / physics.sigma)[:, 1:]
        lowest = errors.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8))[..., :4, :, :4]
        found[name] = lowest.square().mean().sqrt().item()
    assert found["half"] < 1 < 1.5 < found["full"]
