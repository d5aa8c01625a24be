from pathlib import Path

import pytest
import torch
from deepinv.physics import GaussianNoise, LinearPhysics
from hypothesis import given, settings
from hypothesis import strategies as st

from interlayer import InputError, make_physics, write_image
from interlayer.problem import TASKS, UniformQuantiser
from interlayer.problem.tasks import split_task, tensors_of

SIZE = (3, 32, 32)
LEVELS = {
    "inpaint": "0.1",
    "box": "0.25",
    "half": "left",
    "superres": "4",
    "superres-avg": "4",
    "circulant": "0.1",
    "gaussian": "40",
    "phase": "0.1",
    "deblur": "2",
    "defocus": "2",
    "motion": "7,30",
    "colorize": "",
    "jpeg": "50",
    "quantize": "2",
    "denoise": "0.1",
    "denoise-poisson": "0.02",
    "denoise-bernoulli": "0.2",
}
EVERY = [f"{name}:{level}" if level else name for name, level in LEVELS.items()]


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """A picture whose left columns are white; its name has what separates tasks in it."""
    painted = torch.zeros(1, 3, 32, 32)
    painted[..., :5] = 1
    write_image(tmp_path / "a+b:c.png", painted)
    return tmp_path / "a+b:c.png"


def test_the_tests_know_every_task():
    assert {form.partition(":")[0] for form in TASKS} == {
        *LEVELS,
        "mask",
        "jpeg-file",
        "view",
        "FILE.py",
    }


@pytest.mark.parametrize("task", EVERY)
def test_same_seed_same_measurements_whatever_the_batch(task):
    x = torch.rand(2, *SIZE)
    y = make_physics(task, SIZE, seed=5)(x)
    assert torch.equal(y, make_physics(task, SIZE, seed=5)(x))
    torch.testing.assert_close(y[1:], make_physics(task, SIZE, seed=5)(x[1:]))


@pytest.mark.parametrize(
    "task", [t for t in EVERY if t.startswith(("inpaint", "circ", "gauss", "phase", "denoise"))]
)
def test_another_seed_measures_another_way(task):
    x = torch.rand(1, *SIZE)
    first, other = (make_physics(task, SIZE, seed=seed)(x) for seed in (5, 6))
    assert not torch.allclose(first, other)


@pytest.mark.parametrize(
    ("task", "shape"),
    [
        ("inpaint:0.1", SIZE),
        ("superres:8", (3, 4, 4)),
        ("superres-avg:32", (3, 1, 1)),
        ("circulant:0.01", (31,)),
        ("gaussian:7", (7,)),
        ("phase:0.01", (31,)),
        ("colorize", (1, 32, 32)),
        ("superres:2+superres-avg:4", (3, 4, 4)),
        ("colorize+superres:2+circulant:0.5+denoise:0.1+quantize:1", (128,)),
        ("superres:2+jpeg:50", (3, 16, 16)),
        ("half:top+deblur:2+gaussian:30+quantize:4", (30,)),
    ],
)
def test_measurements_have_the_shape_of_the_last_operator(task, shape):
    physics = make_physics(task, SIZE)
    assert physics(torch.rand(2, *SIZE)).shape == (2, *shape)
    nonlinear = "phase" in task or "jpeg" in task
    assert isinstance(physics, LinearPhysics) != nonlinear
    if isinstance(physics, LinearPhysics):
        x = torch.rand(1, *SIZE, dtype=torch.float64)
        assert physics.adjointness_test(x).abs() < 1e-10


def test_masks_keep_the_fraction_asked_for_whole_pixels():
    ones = torch.ones(1, *SIZE)
    known = make_physics("inpaint:0.1", SIZE, seed=1)(ones)
    assert known.sum() == 3 * round(0.1 * 32 * 32) and (known[:, 0] == known[:, 1]).all()
    box = make_physics("box:0.25", SIZE)(ones)
    assert box.sum() == 0.75 * 3 * 32 * 32 and box[..., 8:24, 8:24].sum() == 0
    for side, missing in (
        ("left", (slice(None), slice(16))), ("right", (slice(None), slice(16, 32))),
        ("top", (slice(16),)), ("bottom", (slice(16, 32),)),
    ):  # fmt: skip
        half = make_physics(f"half:{side}", SIZE)(ones)[0, 0]
        assert half.sum() == 512 and half[missing].sum() == 0


def test_mask_files_keep_their_white_pixels_and_need_not_be_read_twice(mask: Path):
    task, x = f"mask:{mask}", torch.ones(2, *SIZE)
    physics = make_physics(f"{task}+deblur:1+denoise:0.1", SIZE)
    y = make_physics(task, SIZE)(x)
    assert y[..., :5].eq(1).all() and y[..., 5:].eq(0).all()
    tensors = tensors_of(physics)
    mask.unlink()
    again = make_physics(f"{task}+deblur:1+denoise:0.1", SIZE, tensors=tensors)
    assert torch.equal(again(x), physics(x))
    with pytest.raises(InputError, match="16x16"):
        make_physics(task, (3, 16, 16), tensors=tensors)


def test_noise_and_sensor_act_after_the_operators_in_this_order():
    x, task = torch.rand(1, *SIZE), "deblur:2+denoise:0.1+quantize:3"
    physics = make_physics(task, SIZE)
    noise, sensor = physics.noise_model, physics.sensor_model
    assert isinstance(noise, GaussianNoise) and isinstance(sensor, UniformQuantiser)
    assert torch.equal(physics(x), sensor(noise(physics.A(x))))
    low, high = sensor.cell(physics(x))
    noisy = make_physics("deblur:2+denoise:0.1", SIZE)(x)
    assert ((low <= noisy) & (noisy < high)).all()


def test_unknown_pixels_have_no_noise_at_the_end_of_a_chain():
    physics = make_physics("deblur:2+inpaint:0.2+denoise:0.5", SIZE)
    assert (physics(torch.ones(1, *SIZE)) == 0).float().mean().item() == pytest.approx(
        0.8, abs=0.01
    )


@pytest.mark.parametrize("task", ["circulant:0.2", "gaussian:500", "superres:2+gaussian:200"])
def test_quantisers_of_random_measurements_fit_images_of_usual_brightness(task):
    x = 0.5 * torch.ones(1, *SIZE)
    y = make_physics(task, SIZE)(x)
    coarse = make_physics(f"{task}+quantize:1", SIZE)(x)
    assert torch.equal(coarse.sign(), y.sign())
    # E|y| is the best magnitude to stand for all of them
    assert coarse.abs().mean().item() == pytest.approx(y.abs().mean().item(), rel=0.15)


def test_equal_parts_of_a_task_are_random_independently():
    once, twice = (
        make_physics(task, SIZE)(torch.ones(1, *SIZE)).mean().item()
        for task in ("inpaint:0.5", "inpaint:0.5+inpaint:0.5")
    )
    assert once == pytest.approx(0.5, abs=0.01) and twice == pytest.approx(0.25, abs=0.03)


def test_random_operators_are_those_of_single_tasks_in_first_place():
    x = torch.rand(1, *SIZE)
    composed = make_physics("circulant:0.1+denoise:1", SIZE, seed=3)
    assert torch.equal(make_physics("circulant:0.1", SIZE, seed=3).A(x), composed.A(x))


@pytest.mark.parametrize(
    "task",
    ["inpaint:0", "inpaint:1.5", "inpaint:", "inpaint:x", "inpaint:nan", "circulant:0",
     "circulant:2", "denoise:0", "denoise:-1", "denoise:inf", "superres:1", "superres:129",
     "superres-avg:7", "superres-avg:2.5", "superres:²", "box:0", "box:1", "half:", "half:middle",
     "gaussian:0", "gaussian:0.5", "gaussian:9999", "phase:0", "deblur:0", "deblur:1e9",
     "motion:5", "motion:99,0", "motion:0,0", "motion:5,nan", "colorize:1", "jpeg:0", "jpeg:96",
     "quantize:0", "quantize:9", "denoise-poisson:0", "denoise-bernoulli:1",
     "circulant:0.1+denoise-poisson:0.1", "phase:0.1+quantize:2", "colorize+jpeg:50",
     "colorize+colorize"],
)  # fmt: skip
def test_levels_out_of_range_are_refused_with_the_form_that_is_valid(task):
    with pytest.raises(InputError, match="does not work") as caught:
        make_physics(task, SIZE)
    name = split_task(task)[-1].partition(":")[0]
    assert sum(f"({form} means: {what})" in str(caught.value) for form, what in TASKS.items()) == 1
    assert f"({name}" in str(caught.value)


@pytest.mark.parametrize("task", ["blur:2", "", "inpainting", "superres:8+blur:2", "FILE.py", "+"])
def test_unknown_tasks_are_refused_with_the_valid_ones(task):
    with pytest.raises(InputError, match="there is no task") as caught:
        make_physics(task, SIZE)
    assert all(form in str(caught.value) for form in TASKS)


@pytest.mark.parametrize(
    "task",
    ["denoise:0.1+superres:2", "denoise:0.1+denoise:0.1", "quantize:1+denoise:0.1",
     "quantize:1+quantize:2", "jpeg:50+denoise:0.1", "jpeg:50+quantize:2", "jpeg:50+superres:2",
     "circulant:0.1+superres:2", "gaussian:9+inpaint:0.5", "phase:0.1+circulant:0.1"],
)  # fmt: skip
def test_parts_that_cannot_follow_each_other_are_refused(task):
    with pytest.raises(InputError, match="cannot follow"):
        make_physics(task, SIZE)


parts = st.one_of(
    st.sampled_from(EVERY),
    st.builds("{}:{}".format, st.sampled_from([*LEVELS]), st.text(max_size=4)),
    st.builds("{}:{}".format, st.sampled_from([*LEVELS]), st.floats().map(str)),
)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(parts, max_size=4).map("+".join))
def test_every_task_either_works_or_is_refused_in_one_sentence(task):
    x = torch.rand(1, *SIZE, requires_grad=True)
    try:
        physics = make_physics(task, SIZE)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert physics(x.detach()).isfinite().all()
    assert torch.autograd.grad(physics.A(x).square().sum(), x)[0].isfinite().all()
