"""What kind of measurement this is, asked of the one that knows."""

import pytest
import torch

from interlayer import InputError, Problem, make_physics
from interlayer.problem import measure

SIZE = (3, 32, 32)
X = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(0))
FACTS = ("exact", "linear", "slow", "small", "whole", "picture", "least_squares")


@pytest.mark.parametrize(
    ("task", "true"),
    [
        ("inpaint:0.5", "exact linear picture least_squares"),
        ("superres:4", "exact linear small picture least_squares"),
        ("superres-avg:4+denoise:0.1", "linear small picture least_squares"),
        ("denoise:0.1", "linear whole picture least_squares"),
        ("denoise-poisson:0.1", "linear whole picture least_squares"),
        ("denoise-bernoulli:0.1", "linear whole picture"),
        ("circulant:0.1", "exact linear least_squares"),
        ("gaussian:20", "exact linear slow least_squares"),
        ("circulant:0.5+quantize:1", "exact linear"),
        ("phase:0.1", "exact"),
        ("jpeg:20", "exact picture"),
        ("colorize", "exact linear least_squares"),
    ],
)
def test_facts_follow_from_the_operator(task: str, true: str) -> None:
    problem = measure(X, task, seed=0)
    assert {fact for fact in FACTS if getattr(problem, fact)} == set(true.split())


@pytest.mark.parametrize(
    ("task", "left"), [("colorize", True), ("superres:4", False), ("circulant:0.3", False)]
)
def test_colours_are_open_where_brightness_alone_is_measured(task: str, left: bool) -> None:
    assert measure(X, task, seed=0).colours_open == left


def test_known_pixels_are_kept_as_they_were_measured_and_noisy_ones_refused() -> None:
    problem = measure(X, "inpaint:0.5", seed=0)
    kept = problem.with_known(torch.zeros_like(X))
    assert problem.known is not None
    assert kept.equal(torch.where(problem.known, X, 0.0))
    for task in ("inpaint:0.5+denoise:0.1", "superres:4", "denoise:0.1"):
        with pytest.raises(InputError, match="without noise"):
            measure(X, task, seed=0).with_known(X)


def test_a_problem_alone_is_that_of_its_row() -> None:
    x = torch.rand(3, *SIZE)
    problem = measure(x, "circulant:0.1", seed=0)
    assert torch.equal(problem.alone(1).y, problem.y[1:2]) and len(problem.alone(1)) == 1


def test_an_operator_that_is_not_linear_has_no_linear_physics() -> None:
    with pytest.raises(InputError, match="linear operator"):
        _ = measure(X, "phase:0.1", seed=0).linear_physics


def test_each_question_is_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    physics = make_physics("superres:4", SIZE)
    problem, calls = Problem(physics, physics(X)), []
    product = physics.A
    monkeypatch.setattr(physics, "A", lambda x: calls.append(1) or product(x))
    assert not problem.colours_open and not problem.colours_open
    assert len(calls) == 3  # one for each colour
