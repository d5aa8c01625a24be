import pytest
import torch
from deepinv.physics import LinearPhysics

from interlayer import csgm, make_physics, solve
from interlayer.app.results import report
from interlayer.evaluation.quality import metrics
from interlayer.generators import ToyGenerator
from interlayer.media.measured_pictures import back_projection, picture_of

G = ToyGenerator(32)
SIZE = (3, 32, 32)


def test_metrics_are_the_usual_ones():
    x = torch.full((1, 3, 32, 32), 0.5)
    figures = metrics(x + 0.1, x)
    assert figures["mse"] == pytest.approx(0.01, rel=1e-4)
    assert figures["psnr"] == pytest.approx(20, abs=1e-3)
    assert metrics(x, x)["ssim"] == pytest.approx(1)


@pytest.mark.parametrize("task", ["inpaint:0.5", "superres:4", "denoise:0.01"])
def test_back_projection_shows_the_picture(task):
    x = G(G.sample([4]))
    physics = make_physics(task, SIZE)
    assert isinstance(physics, LinearPhysics)
    y = physics(x)
    again = physics.A(back_projection(y, physics))
    assert torch.nn.functional.cosine_similarity(again.flatten(), y.flatten(), dim=0) > 0.95


def test_every_kind_of_measurement_has_a_picture_in_range():
    x = torch.rand(1, *SIZE)
    for task in ("inpaint:0.01", "superres:4", "circulant:0.013", "denoise:0.5"):
        shown = picture_of(make_physics(task, SIZE)(x), 32)
        assert shown.shape == (1, *SIZE)
        assert 0 <= shown.min() and shown.max() <= 1 and shown.std() > 0.01


def test_lone_pixels_are_grown_until_they_are_seen():
    y = make_physics("inpaint:0.01", SIZE)(torch.ones(1, *SIZE))
    assert y.mean() < 0.011 and picture_of(y, 32).mean() > 0.1


def test_the_report_has_the_figures_of_every_stage():
    x = G(G.sample([4]))
    physics = make_physics("inpaint:0.5", SIZE)
    solution = solve(physics, physics(x), G, csgm(10))
    figures = report(solution, x, interrupted=False)
    assert figures["psnr"] == pytest.approx(metrics(solution.x_hat, x)["psnr"])
    assert figures["steps"] == 10 and len(figures["stages"]) == 1
    blind = report(solve(physics, physics(x), G, csgm(10), holdout=0), None, interrupted=True)
    assert blind["psnr"] is None and blind["holdout_loss"] is None and blind["interrupted"]
