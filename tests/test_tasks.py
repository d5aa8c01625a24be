from pathlib import Path

import pytest
import torch

from interlayer import TASKS, InputError, make_physics, write_image

SIZE = (3, 32, 32)


def test_inpainting_keeps_the_fraction_asked_for_whole_pixels():
    y = make_physics("inpaint:0.1", SIZE, seed=1)(torch.ones(1, *SIZE))
    assert y.sum() == 3 * round(0.1 * 32 * 32)
    assert (y[:, 0] == y[:, 1]).all()


def test_mask_keeps_its_white_pixels(tmp_path: Path):
    painted = torch.zeros(1, 3, 32, 32)
    painted[..., :5] = 1
    write_image(tmp_path / "mask.png", painted)
    y = make_physics(f"mask:{tmp_path / 'mask.png'}", SIZE)(torch.ones(2, *SIZE))
    assert torch.equal(y, painted.expand(2, -1, -1, -1))


def test_superresolution_gives_small_images_and_circulant_vectors():
    x = torch.rand(1, *SIZE)
    assert make_physics("superres:8", SIZE)(x).shape == (1, 3, 4, 4)
    assert make_physics("circulant:0.01", SIZE)(x).shape == (1, 31)


def test_denoising_adds_noise_of_the_given_deviation():
    x = torch.full((1, 3, 128, 128), 0.5)
    y = make_physics("denoise:0.2", (3, 128, 128))(x)
    assert abs((y - x).std().item() - 0.2) < 0.005


@pytest.mark.parametrize("task", ["inpaint:0.1", "circulant:0.1", "denoise:0.1"])
def test_same_seed_same_measurements(task):
    x = torch.rand(1, *SIZE)
    y = make_physics(task, SIZE, seed=5)(x)
    assert torch.equal(y, make_physics(task, SIZE, seed=5)(x))
    assert not torch.equal(y, make_physics(task, SIZE, seed=6)(x))


@pytest.mark.parametrize(
    "task",
    ["inpaint:0", "inpaint:1.5", "inpaint:", "inpaint:x", "inpaint:nan", "circulant:0",
     "circulant:2", "denoise:0", "denoise:-1", "denoise:inf", "superres:1", "superres:128"],
)  # fmt: skip
def test_levels_out_of_range_are_refused_with_the_valid_tasks(task):
    with pytest.raises(InputError, match="must be a number above") as caught:
        make_physics(task, SIZE)
    assert all(form in str(caught.value) for form in TASKS)


@pytest.mark.parametrize("task", ["superres:7", "superres:2.5"])
def test_factors_that_do_not_divide_are_refused(task):
    with pytest.raises(InputError, match="divides the size"):
        make_physics(task, SIZE)


@pytest.mark.parametrize("task", ["blur:2", "", "inpainting"])
def test_unknown_tasks_are_refused_with_the_valid_ones(task):
    with pytest.raises(InputError, match="there is no task") as caught:
        make_physics(task, SIZE)
    assert all(form in str(caught.value) for form in TASKS)
