"""Several solutions of one problem."""

from dataclasses import replace

import pytest
import torch

from interlayer import InputError, Settings, ilo, iterate, reconstruct, sample
from interlayer.generators import ToyGenerator
from interlayer.problem import measure
from interlayer.solver.records import Solution, State

TOY = ToyGenerator()
X = TOY(TOY.sample([5]))
PROBLEM = measure(X, "half:left", seed=0)
METHOD = ilo(20, layers=(0, 2))


def states(count: int = 3) -> list[State]:
    return list(sample(PROBLEM, TOY, METHOD, count, Settings(seed=4)))


def samples_of(solution: Solution) -> torch.Tensor:
    assert solution.samples is not None
    return solution.samples.images


def spread_of(solution: Solution) -> torch.Tensor | None:
    assert solution.samples is not None
    return solution.samples.std


def alone(seed: int) -> Solution:
    *_, last = iterate(PROBLEM, TOY, replace(METHOD, random_start=True), Settings(seed))
    return last.solution()


def test_the_estimate_is_the_mean_of_runs_from_consecutive_seeds():
    solution = states()[-1].solution()
    each = torch.cat([alone(seed).x_hat for seed in (4, 5, 6)])
    assert samples_of(solution).equal(each)
    assert solution.x_hat.equal(each.mean(0, keepdim=True))
    spread = spread_of(solution)
    assert spread is not None and spread.equal(each.std(0, keepdim=True))


def test_the_mean_is_nearer_to_the_truth_by_the_spread():
    solution = states()[-1].solution()
    each = (samples_of(solution) - X).square().mean()
    spread = (samples_of(solution) - solution.x_hat).square().mean()
    mean = (solution.x_hat - X).square().mean()
    torch.testing.assert_close(mean, each - spread)


def test_a_run_that_is_stopped_keeps_the_runs_that_are_over():
    steps = states()
    first, in_second, in_third = (steps[i].solution() for i in (5, 25, 45))
    assert first.samples is None
    assert len(samples_of(in_second)) == 1 and spread_of(in_second) is None
    assert in_second.x_hat.equal(alone(4).x_hat)
    assert len(samples_of(in_third)) == 2


def test_progress_rises_to_one():
    progress = [state.progress for state in states()]
    assert progress == sorted(progress) and progress[-1] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "interpolation"},
        {"settings": Settings(seed=[0])},
        {"problem": replace(PROBLEM, y=PROBLEM.y.expand(2, -1, -1, -1))},
    ],
)
def test_samples_that_cannot_be_are_refused(arguments):
    with pytest.raises(InputError, match="several samples need"):
        reconstruct(**{"problem": PROBLEM, "generator": TOY, "samples": 2} | arguments)
