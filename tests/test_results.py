import pytest
import torch

from interlayer import csgm, make_physics, solve
from interlayer.app.results import report
from interlayer.evaluation.quality import metrics
from interlayer.generators import ToyGenerator

G = ToyGenerator(32)
SIZE = (3, 32, 32)


def test_metrics_are_the_usual_ones():
    x = torch.full((1, 3, 32, 32), 0.5)
    figures = metrics(x + 0.1, x)
    assert figures["mse"] == pytest.approx(0.01, rel=1e-4)
    assert figures["psnr"] == pytest.approx(20, abs=1e-3)
    assert metrics(x, x)["ssim"] == pytest.approx(1)


def test_the_report_has_the_figures_of_every_stage():
    x = G(G.sample([4]))
    physics = make_physics("inpaint:0.5", SIZE)
    solution = solve(physics, physics(x), G, csgm(10))
    figures = report(solution, x, interrupted=False)
    assert figures["psnr"] == pytest.approx(metrics(solution.x_hat, x)["psnr"])
    assert figures["steps"] == 10 and len(figures["stages"]) == 1
    blind = report(solve(physics, physics(x), G, csgm(10), holdout=0), None, interrupted=True)
    assert blind["psnr"] is None and blind["holdout_loss"] is None and blind["interrupted"]
