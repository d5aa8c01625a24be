"""Every method by its name."""

import pytest
import torch

from interlayer import InputError, ToyGenerator, make_physics
from interlayer.methods.presets import METHODS
from interlayer.methods.stages import Method, Stage
from interlayer.solver.by_name import QUALITIES, method_names, plan, reconstruct
from interlayer.solver.solving import solve

SIZE = (3, 16, 16)
G = ToyGenerator()
PICTURES_ONLY = {"wplus", "pulse-lpips", "pulse-mse-lpips", "ilo-mse-lpips"}


def measured(task: str, batch: int = 1):
    physics = make_physics(task, SIZE)
    with torch.no_grad():
        return physics, physics(G(G.sample(range(batch))))


@pytest.mark.parametrize("name", method_names())
def test_every_method_ends_with_all_of_its_work_done_or_is_refused_in_one_sentence(name):
    physics, y = measured("circulant:0.5")
    try:
        states = list(reconstruct(physics, y, G, name, steps=9))
    except InputError as error:
        assert name in PICTURES_ONLY | {"interpolation", "bicubic", "bm3d", "dip"}
        assert "\n" not in str(error)
        return
    progress = [state.progress for state in states]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert states[-1].solution().x_hat.shape == (1, *SIZE)
    assert all(state.label for state in states)


def test_quality_sets_the_number_of_steps():
    steps = [plan("ilo", quality).steps for quality in QUALITIES]
    assert steps == sorted(steps)
    assert plan("ilo").steps == METHODS["ilo"]().steps


@pytest.mark.parametrize(("name", "quality"), [("magic", "normal"), ("ilo", "worst")])
def test_unknown_names_are_refused(name, quality):
    physics, y = measured("inpaint:0.5")
    with pytest.raises(InputError, match="is none of"):
        reconstruct(physics, y, G, name, quality=quality)


def test_langevin_noise_depends_on_the_seed_of_the_image_alone():
    physics, y = measured("inpaint:0.5", batch=2)
    noisy = Method("noisy", (Stage(0, 8, temperature=1e-2),))
    both = solve(physics, y, G, noisy, seed=[3, 4], holdout=0)
    other = solve(physics, y[1:], G, noisy, seed=[4], holdout=0)
    calm = solve(physics, y[1:], G, Method("calm", (Stage(0, 8),)), seed=[4], holdout=0)
    assert torch.allclose(both.x_hat[1:], other.x_hat, atol=1e-5)
    assert not torch.allclose(other.x_hat, calm.x_hat, atol=1e-3)
