from collections import deque

import pytest
import torch
from torch import Tensor, nn

from interlayer.errors import InputError
from interlayer.generators import ToyGenerator
from interlayer.networks.classifiers import Classifier, load_classifier
from interlayer.recipes.imagining import (
    ClassFidelity,
    ClassifierPhysics,
    Near,
    Views,
    class_probability,
    draw_views,
    imagine,
    imagine_pixels,
    mean_squared_error,
    one_hot,
    perceptual_distance,
    towards_class,
)
from interlayer.solver.records import GeneratorPoint, Settings, Solution
from interlayer.weights import cache, loading

G = ToyGenerator()
COLOURS = ("red", "green", "blue")
METHOD = towards_class(steps=40, layers=(0, 2, 3))


class Brightest(nn.Module):
    """Logits are the mean of each channel, times 10: the class is the dominant colour."""

    def forward(self, x: Tensor) -> Tensor:
        return 10 * x.mean((2, 3))


CLASSIFIER = Classifier(Brightest(), size=8, mean=[0.0] * 3, std=[1.0] * 3, names=COLOURS)


def last(steps) -> Solution:
    return deque(steps, maxlen=1)[0].solution()


def face(seed: int) -> GeneratorPoint:
    return GeneratorPoint(G.sample([seed], 0.7))


def looking() -> ClassifierPhysics:
    return ClassifierPhysics(CLASSIFIER)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_view_of_everything_is_the_image_or_its_mirror() -> None:
    x = torch.rand(2, 3, 8, 8)
    plain = Views(count=20, smallest=1.0, blur=0.0, noise=0.0)
    views = draw_views(x, 8, plain, rng())
    mirrored = [torch.equal(view, x.flip(-1)) for view in views]
    assert all(m or torch.equal(view, x) for m, view in zip(mirrored, views, strict=True))
    assert 0 < sum(mirrored) < 20


def test_views_do_not_depend_on_the_batch_and_advance_the_draws_alike() -> None:
    x, first, second = torch.rand(3, 3, 16, 16), rng(), rng()
    alone = [draw_views(x[1:2], 8, Views(), first) for _ in range(2)]
    together = [draw_views(x, 8, Views(), second) for _ in range(2)]
    for a, b in zip(alone, together, strict=True):
        torch.testing.assert_close(a, b[:, 1:2])
    assert not torch.equal(alone[0], alone[1])


def test_noise_and_blur_are_of_the_size_that_is_asked_for() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5)
    views = draw_views(flat, 64, Views(count=8, noise=0.1), rng())
    assert abs(views.std().item() - 0.1) < 0.005
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2 + flat
    blurred = draw_views(checks, 64, Views(count=8, smallest=1.0, noise=0.0), rng())
    assert (blurred.flatten(1).std(1) < 0.5).all() and blurred.flatten(1).std(1).min() < 0.1


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"smallest": 0.0}, {"smallest": 1.1}, {"blur": -1.0}, {"noise": -0.1}]
)
def test_views_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="views need"):
        Views(**wrong)


def test_the_operator_gives_mean_log_probabilities_repeatably() -> None:
    x = G(G.sample([1, 2]))
    physics, same = (ClassifierPhysics(CLASSIFIER, Views(seed=5)) for _ in range(2))
    by_view = same.log_probabilities(x)
    torch.testing.assert_close(by_view.exp().sum(-1), torch.ones(4, 2))
    torch.testing.assert_close(physics.A(x), by_view.mean(0))


def test_the_fidelity_is_a_running_mean_with_the_gradient_of_the_step() -> None:
    fidelity, y = ClassFidelity(), torch.tensor([[0.0, 1.0]])
    x, ones = torch.zeros(1, 3, 4, 4), torch.ones(1, 2)
    first = torch.tensor([[-3.0, -2.0]], requires_grad=True)
    second = torch.tensor([[-3.0, -1.0]], requires_grad=True)
    assert fidelity(first, y, ones, x).item() == 2.0
    assert fidelity(first, y, torch.zeros(1, 2), x).isnan().all()
    loss = fidelity(second, y, ones, x)
    assert loss.item() == pytest.approx(0.8 * 2.0 + 0.2 * 1.0)
    (gradient,) = torch.autograd.grad(loss.sum(), second)
    assert torch.equal(gradient, -y)
    assert fidelity(second * torch.nan, y, ones, x).isnan().all()
    assert fidelity(second, y, ones, x).item() == pytest.approx(0.8 * 1.8 + 0.2 * 1.0)


def test_the_fidelity_adds_the_weighted_distance_of_each_image() -> None:
    near = torch.zeros(1, 3, 4, 4)
    x = torch.stack([torch.zeros(3, 4, 4), torch.full((3, 4, 4), 2.0)])
    predicted = torch.full((2, 3), -1.0)
    y = one_hot(CLASSIFIER, "green", 2)
    loss = ClassFidelity(Near(near, weight=0.5))(predicted, y, torch.ones(2, 3), x)
    assert loss.tolist() == [1.0, 1.0 + 0.5 * 4.0]


@pytest.mark.parametrize("colour", COLOURS)
def test_imagining_raises_the_probability_on_fresh_views(colour: str) -> None:
    before = class_probability(CLASSIFIER, face(3).image(G), colour)
    solution = last(imagine(G, looking(), colour, method=METHOD, settings=Settings(3)))
    after = class_probability(CLASSIFIER, solution.x_hat, colour)
    assert after.log() > before.log() / 2
    for record in solution.stages[1:]:
        assert record.stage is not None and record.stage.radius is not None
        assert record.deviation <= record.stage.radius + 1e-4


def test_an_image_does_not_depend_on_the_others_of_the_batch() -> None:
    pair = last(imagine(G, looking(), "blue", method=METHOD, settings=Settings([3, 4])))
    alone = last(imagine(G, looking(), "blue", method=METHOD, settings=Settings([4])))
    torch.testing.assert_close(pair.x_hat[1:], alone.x_hat, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(pair.x_hat[0], pair.x_hat[1], atol=0.05)


def test_a_morph_stays_nearer_the_heavier_its_weight() -> None:
    start = face(3)
    x = start.image(G)

    def distance(weight: float) -> float:
        near, settings = Near(x, weight), Settings(start=start)
        steps = imagine(G, looking(), "blue", method=METHOD, near=near, settings=settings)
        return mean_squared_error(last(steps).x_hat, x).item()

    free, held = distance(0.0), distance(100.0)
    assert held < free / 4


def test_the_first_image_is_the_one_to_start_from() -> None:
    start = face(3)
    first = next(imagine(G, looking(), 2, method=METHOD, settings=Settings(start=start)))
    torch.testing.assert_close(first.x, start.image(G))


def test_pixels_reach_the_class_and_stay_in_range() -> None:
    x = G(G.sample([3]))
    pixels = imagine_pixels(looking(), x, "green", steps=40)
    assert class_probability(CLASSIFIER, pixels, "green") > 0.9
    assert pixels.min() >= 0 and pixels.max() <= 1


def test_mistakes_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean green"):
        imagine(G, looking(), "gren")
    with pytest.raises(InputError, match="resize it"):
        imagine(G, looking(), "green", near=Near(torch.zeros(1, 3, 8, 8)))


@pytest.mark.skipif(not cache.is_cached("imagenet"), reason="the classifier has not been pulled")
def test_the_offline_classifier_leads_a_face_generator_towards_a_frog() -> None:
    classifier, faces64 = load_classifier(), loading.load("faces64")
    method, physics = (
        towards_class(12, layers=(0, 2)),
        ClassifierPhysics(classifier, Views(count=1)),
    )
    start = GeneratorPoint(faces64.sample([0], 0.7))
    solution = last(imagine(faces64, physics, "bull frog", method=method))
    before, after = (
        class_probability(classifier, x, "bull frog", views=Views(count=8, seed=1))
        for x in (start.image(faces64), solution.x_hat)
    )
    assert after > 3 * before


@pytest.mark.skipif(not cache.is_cached("perceptual"), reason="the network has not been pulled")
def test_the_perceptual_distance_is_zero_at_the_image_itself() -> None:
    distance, x = perceptual_distance(64), torch.rand(1, 3, 128, 128)
    assert distance(x, x).item() == pytest.approx(0, abs=1e-6)
    assert distance(x, x.flip(-1)).item() > 0.01
