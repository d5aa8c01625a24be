"""Measurements as pictures that a person can look at."""

import pytest
import torch

from interlayer.generators import ToyGenerator
from interlayer.problem import measure
from interlayer.problem.pictures import back_projection, picture_of

SIZE = (3, 32, 32)
G = ToyGenerator(32)


@pytest.mark.parametrize("task", ["inpaint:0.5", "superres:4", "denoise:0.01"])
def test_back_projection_shows_the_picture(task: str) -> None:
    problem = measure(G(G.sample([4])), task, seed=0)
    again, y = problem.physics.A(back_projection(problem)), problem.y
    assert torch.nn.functional.cosine_similarity(again.flatten(), y.flatten(), dim=0) > 0.95


@pytest.mark.parametrize(
    "task", ["inpaint:0.01", "superres:4", "circulant:0.013", "denoise:0.5", "colorize"]
)
def test_every_kind_of_measurement_has_a_picture_in_range(task: str) -> None:
    shown = picture_of(measure(torch.rand(1, *SIZE), task, seed=0), 32)
    assert shown.shape == (1, *SIZE)
    assert 0 <= shown.min() and shown.max() <= 1 and shown.std() > 0.01


def test_lone_pixels_are_grown_until_they_are_seen() -> None:
    problem = measure(torch.ones(1, *SIZE), "inpaint:0.01", seed=0)
    assert problem.y.mean() < 0.011 and picture_of(problem, 32).mean() > 0.1
