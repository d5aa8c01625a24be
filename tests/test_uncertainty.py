"""Several solutions of one problem."""

from dataclasses import replace

import pytest
import torch

from interlayer import InputError, ToyGenerator, ilo, iterate, make_physics, reconstruct, sample
from interlayer.solver.records import Solution, State

TOY = ToyGenerator()
X = TOY(TOY.sample([5]))
PHYSICS = make_physics("half:left", (3, 16, 16))
Y = PHYSICS(X)
METHOD = ilo(20, layers=(0, 2))


def states(count: int = 3) -> list[State]:
    return list(sample(PHYSICS, Y, TOY, METHOD, count, seed=4))


def samples_of(solution: Solution) -> torch.Tensor:
    assert solution.samples is not None
    return solution.samples


def alone(seed: int) -> Solution:
    *_, last = iterate(PHYSICS, Y, TOY, replace(METHOD, random_start=True), seed=seed)
    return last.solution()


def test_the_estimate_is_the_mean_of_runs_from_consecutive_seeds():
    solution = states()[-1].solution()
    each = torch.cat([alone(seed).x_hat for seed in (4, 5, 6)])
    assert samples_of(solution).equal(each)
    assert solution.x_hat.equal(each.mean(0, keepdim=True))
    assert solution.std is not None and solution.std.equal(each.std(0, keepdim=True))


def test_the_mean_is_nearer_to_the_truth_by_the_spread():
    solution = states()[-1].solution()
    each = (samples_of(solution) - X).square().mean()
    spread = (samples_of(solution) - solution.x_hat).square().mean()
    mean = (solution.x_hat - X).square().mean()
    torch.testing.assert_close(mean, each - spread)


def test_a_run_that_is_stopped_keeps_the_runs_that_are_over():
    steps = states()
    first, in_second, in_third = (steps[i].solution() for i in (5, 25, 45))
    assert first.samples is None and first.std is None
    assert len(samples_of(in_second)) == 1 and in_second.std is None
    assert in_second.x_hat.equal(alone(4).x_hat)
    assert len(samples_of(in_third)) == 2


def test_progress_rises_to_one():
    progress = [state.progress for state in states()]
    assert progress == sorted(progress) and progress[-1] == 1


@pytest.mark.parametrize(
    "arguments", [{"method": "interpolation"}, {"seed": [0]}, {"y": Y.expand(2, -1, -1, -1)}]
)
def test_samples_that_cannot_be_are_refused(arguments):
    with pytest.raises(InputError, match="several samples need"):
        reconstruct(PHYSICS, **{"y": Y, "generator": TOY, "samples": 2} | arguments)
