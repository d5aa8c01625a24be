"""Every method by its name."""

import pytest
import torch

from interlayer import InputError, Latent, Method, Stage, iterate, reconstruct, solve
from interlayer.generators import ToyGenerator
from interlayer.methods.presets import METHODS
from interlayer.problem import measure
from interlayer.solver.by_name import QUALITIES, method_names, named_method

SIZE = (3, 16, 16)
G = ToyGenerator()
PICTURES_ONLY = {"wplus", "pulse-lpips", "pulse-mse-lpips", "ilo-mse-lpips"}


def measured(task: str, batch: int = 1):
    with torch.no_grad():
        return measure(G(G.sample(range(batch))), task, seed=0)


@pytest.mark.parametrize("name", method_names())
def test_every_method_ends_with_all_of_its_work_done_or_is_refused_in_one_sentence(name):
    problem = measured("circulant:0.5")
    try:
        states = list(reconstruct(problem, G, name, steps=9))
    except InputError as error:
        assert name in PICTURES_ONLY | {"interpolation", "bicubic", "plain", "bm3d", "dip"}
        assert "\n" not in str(error)
        return
    progress = [state.progress for state in states]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    assert states[-1].solution().x_hat.shape == (1, *SIZE)
    assert all(state.label for state in states)


def test_quality_sets_the_number_of_steps():
    steps = [named_method("ilo", quality).steps for quality in QUALITIES]
    assert steps == sorted(steps)
    assert named_method("ilo").steps == METHODS["ilo"]().steps


@pytest.mark.parametrize(("name", "quality"), [("magic", "normal"), ("ilo", "worst")])
def test_unknown_names_are_refused(name, quality):
    with pytest.raises(InputError, match="is none of"):
        reconstruct(measured("inpaint:0.5"), G, name, quality=quality)


def test_langevin_noise_depends_on_the_seed_of_the_image_alone():
    problem = measured("inpaint:0.5", batch=2)
    physics, y = problem.physics, problem.y
    noisy = Method("noisy", (Stage(Latent(), 8, temperature=1e-2),))
    both = solve(physics, y, G, noisy, seed=[3, 4], holdout=0)
    other = solve(physics, y[1:], G, noisy, seed=[4], holdout=0)
    calm = solve(physics, y[1:], G, Method("calm", (Stage(Latent(), 8),)), seed=[4], holdout=0)
    assert torch.allclose(both.x_hat[1:], other.x_hat, atol=1e-5)
    assert not torch.allclose(other.x_hat, calm.x_hat, atol=1e-3)


def test_a_method_means_one_thing_by_its_name_and_as_a_value():
    for name in ("robust", "ilo", "sparse-gen"):
        problem = measured("circulant:0.5")
        *_, named = reconstruct(problem, G, name, steps=12)
        *_, given = iterate(problem, G, METHODS[name](12).within(G.num_layers))
        assert torch.equal(named.solution().x_hat, given.solution().x_hat)


def test_a_classical_method_has_no_point_in_a_generator():
    *_, state = reconstruct(measured("inpaint:0.5"), G, "tv")
    solution = state.solution()
    assert solution.point is None
    assert solution.stages[0].layer == G.num_layers and solution.stages[0].stage is None
