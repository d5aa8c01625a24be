"""What a run returns, at any step of it."""

import pytest
import torch

from interlayer import InputError, Problem, Settings, ilo, iterate, solve
from interlayer.generators import ToyGenerator
from interlayer.problem import measure
from interlayer.solver import GeneratorPoint, Samples

G = ToyGenerator()
X = G(G.sample([3]))
PROBLEM = measure(X, "circulant:0.3", seed=0)
METHOD = ilo(30, layers=(0, 1, 2))


def test_representations_are_short_and_hold_no_tensor():
    *_, state = iterate(PROBLEM, G, METHOD)
    solution = state.solution()
    several = Samples(torch.rand(3, 3, 16, 16))
    for value in (state, solution, several, solution.point, PROBLEM, *solution.stages):
        lines = repr(value).splitlines()
        assert len(lines) <= 3 and max(map(len, lines)) <= 120
        assert "tensor(" not in repr(value)


class Interrupting(ToyGenerator):
    """A generator that is interrupted at a given number of images."""

    left = 0

    def image(self, state):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().image(state)


@pytest.mark.parametrize("images", [5, 11, 12, 21])
def test_a_run_that_is_interrupted_anywhere_still_has_its_best_so_far(images):
    generator = Interrupting()
    generator.left = images
    steps = iterate(PROBLEM, generator, METHOD)
    state = next(steps)
    with pytest.raises(KeyboardInterrupt):
        while True:
            state = next(steps)
    solution = state.solution()
    assert solution.steps == images - 1
    assert solution.x_hat.isfinite().all()


def test_the_losses_of_a_solution_are_those_of_its_stages():
    solution = solve(PROBLEM.physics, PROBLEM.y, G, METHOD)
    assert solution.losses.shape == (30, 2, 1)
    assert solution.losses.equal(torch.cat([record.losses for record in solution.stages]))


def test_a_solution_moves_to_another_device_with_all_that_it_holds():
    *_, state = iterate(PROBLEM, G, METHOD)
    solution = state.solution()
    there, back = solution.to("meta"), solution.to("cpu")
    assert there.point and back.point and solution.point
    assert there.point.z.is_meta and there.x_hat.is_meta and there.losses.is_meta
    assert all(record.x_hat.is_meta for record in there.stages)
    assert [record.stage for record in there.stages] == list(METHOD.stages)
    assert back.point.h is solution.point.h


def test_records_cannot_be_changed():
    solution = solve(PROBLEM.physics, PROBLEM.y, G, METHOD)
    for value in (solution, solution.stages[0], solution.point, PROBLEM, Settings()):
        with pytest.raises(AttributeError):
            value.x_hat = 0  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


def test_a_latent_code_alone_is_a_point():
    z = G.sample([3])
    assert torch.equal(GeneratorPoint(z).image(G), G(z))


@pytest.mark.parametrize("holdout", [-0.1, 1.0, float("nan")])
def test_fractions_out_of_range_are_refused(holdout):
    with pytest.raises(InputError, match="held-out fraction"):
        Settings(holdout=holdout)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_measurements_that_are_not_finite_are_refused(bad):
    with pytest.raises(InputError, match="NaN"):
        Problem(PROBLEM.physics, torch.full_like(PROBLEM.y, bad))
