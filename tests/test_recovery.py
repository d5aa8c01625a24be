from pathlib import Path

import pytest
import torch
from deepinv.physics import LinearPhysics

from interlayer import InputError, ToyGenerator, csgm, make_physics, solve, write_image
from interlayer.app.results import report
from interlayer.evaluation.quality import metrics
from interlayer.media.measured_pictures import back_projection, picture_of
from interlayer.problem.measurements import load_measurements, measure

G = ToyGenerator(32)
SIZE = (3, 32, 32)


@pytest.mark.parametrize("task", ["inpaint:0.1", "circulant:0.1", "superres:4", "denoise:0.1"])
def test_measurements_are_saved_as_plain_data_and_read_back(tmp_path: Path, task):
    made, physics = measure(torch.rand(1, *SIZE), task, seed=3)
    made.save(tmp_path / "m.pt")
    assert set(torch.load(tmp_path / "m.pt", weights_only=True)) == {*vars(made)}
    read = load_measurements(tmp_path / "m.pt")
    assert torch.equal(read.y, made.y)
    x = torch.rand(1, *SIZE)
    assert torch.equal(read.physics().A(x), physics.A(x))


def test_measurements_of_a_mask_need_no_mask_file_again(tmp_path: Path):
    painted = (torch.rand(1, 1, 32, 32) < 0.5).float().expand(1, 3, 32, 32)
    write_image(tmp_path / "mask.png", painted)
    made, physics = measure(torch.rand(1, *SIZE), f"mask:{tmp_path / 'mask.png'}", seed=0)
    made.save(tmp_path / "m.pt")
    (tmp_path / "mask.png").unlink()
    x = torch.rand(1, *SIZE)
    read = load_measurements(tmp_path / "m.pt")
    assert torch.equal(read.physics().A(x), physics.A(x))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_other_files_are_not_measurements(tmp_path: Path, content):
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(InputError, match="is not a measurements file"):
        load_measurements(tmp_path / "m.pt")


@pytest.mark.parametrize("stored", [{"foo": 1}, [1, 2], {"y": 3, "task": 1, "seed": 0}])
def test_other_archives_are_not_measurements(tmp_path: Path, stored):
    torch.save(stored, tmp_path / "m.pt")
    with pytest.raises(InputError, match="is not a measurements file"):
        load_measurements(tmp_path / "m.pt")


def test_an_archive_that_would_run_code_is_refused_unrun(tmp_path: Path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"y": Hostile()}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="is not a measurements file"):
        load_measurements(tmp_path / "m.pt")
    assert not (tmp_path / "ran").exists()


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
