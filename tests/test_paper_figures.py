"""The paper's figures in small: a toy generator, a classifier of colours."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from interlayer.evaluation.studies import reading
from interlayer.evaluation.studies.worker import Setup, Worker
from interlayer.networks.classifiers import Classifier
from interlayer.recipes.imagining import mean_squared_error

from .bench_studies import Inline
from .test_examples import example

paper = example("paper_figures")


class Brightest(nn.Module):
    """Logits are the mean of each channel, times 10: the class is the dominant colour."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 10 * x.mean((2, 3))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Arguments that make the figures quick."""
    judge = Classifier(Brightest(), 8, [0.0] * 3, [1.0] * 3, names=("bull frog", "volcano", "x"))
    worker = Worker(Setup(torch.get_num_threads()))
    monkeypatch.setattr(paper, "local_slots", lambda: [Inline(worker.run)])
    monkeypatch.setattr(paper, "load_classifier", lambda: judge)
    monkeypatch.setattr(paper, "perceptual_distance", lambda: mean_squared_error)
    monkeypatch.setattr(paper, "QUICK", paper.Effort("draft", 2, 2, images=1, classes=2, steps=4))
    monkeypatch.setattr(paper, "PROBLEMS", ("inpaint:0.3", "colorize"))
    monkeypatch.setattr(paper, "SIDE_BY_SIDE", ("csgm", "pulse-lpips"))  # 16 pixels are too few
    sweep = paper.Sweep(("0.1", "0.2", "0.4"), "tv")
    monkeypatch.setattr(paper, "SWEEPS", {"inpaint": sweep, "circulant": sweep})
    folders = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    return ["--quick", "--generator", "toy", "--precision", "float32", *folders]


def test_every_figure_is_drawn_and_computed_once(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper.main(small)
    out = tmp_path / "out"
    names = [f"paper_figure{n}.{'png' if n == 2 else 'jpg'}" for n in range(1, 6)]
    assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        with Image.open(out / name) as picture:
            assert min(picture.size) > 100
    with reading(tmp_path / "work" / "study.db") as study:
        rows = list(study.rows())
    assert len(rows) == 2 * 2 + 2 * 2 * 4
    assert {row["method"] for row in rows if row["status"] == "failed"} == {"pulse-lpips"}

    for name in ("draw_class", "draw_morph"):
        monkeypatch.setattr(paper, name, lambda *_: pytest.fail("made a second time"))
    before = {row["id"]: row["finished"] for row in rows if row["status"] == "done"}
    paper.main(small)
    with reading(tmp_path / "work" / "study.db") as study:
        again = {row["id"]: row["finished"] for row in study.rows() if row["status"] == "done"}
    assert again == before


def test_problems_take_turns_with_the_images(small: list[str], tmp_path: Path) -> None:
    setup = paper.Setup(paper.QUICK, paper.IMAGES, "toy", "float32", tmp_path, tmp_path)
    found = {job.task: job.source for job in paper.side_by_side(setup)}
    assert found == {"inpaint:0.3": "sample:astronaut", "colorize": "generated:0"}


def test_an_unknown_figure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        paper.main(["7"])
    assert "figures 1 to 5" in capsys.readouterr().err
