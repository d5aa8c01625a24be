"""FID and KID of a study, with a stand-in for torch-fidelity, whose weights are not at hand."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from interlayer import InputError, write_image
from interlayer.evaluation.studies import Store, fid, writing
from interlayer.evaluation.studies.fid import distances

from .bench_studies import jobs, outcome

COUNT = 4
SIZE = 16


def calculate_metrics(input1, input2, kid_subset_size, feature_extractor_weights_path, **settings):
    """Of sets of grey pictures: the difference of their mean values, which is no FID."""
    assert settings["fid"] and settings["kid"] and not settings["cuda"]
    first, second = (torch.stack([each[i] for i in range(len(each))]) for each in (input1, input2))
    assert first.dtype == torch.uint8 and first.shape[1:] == second.shape[1:] == (3, SIZE, SIZE)
    assert kid_subset_size == min(len(first), len(second))
    return {
        "frechet_inception_distance": (first.float().mean() - second.float().mean()).item(),
        "kernel_inception_distance_mean": len(second),
        "kernel_inception_distance_std": sum(torch.load(feature_extractor_weights_path)["w"]),
    }


@pytest.fixture
def weights(tmp_path: Path, monkeypatch) -> Path:
    """A file of weights, and torch-fidelity's stand-in."""
    stub = SimpleNamespace(calculate_metrics=calculate_metrics)
    monkeypatch.setitem(sys.modules, "torch_fidelity", stub)
    monkeypatch.setattr(fid, "FEWEST", COUNT)
    torch.save({"w": torch.tensor([0.25, 0.5])}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def grey(folder: Path, name: str, level: float) -> Path:
    folder.mkdir(exist_ok=True)
    write_image(folder / name, torch.full((3, SIZE, SIZE), level / 255))
    return folder / name


@pytest.fixture
def study(tmp_path: Path):
    """Two methods, whose pictures are 10 and 20 brighter than the truths; one has too few."""
    planned = jobs(f"generated:0-{COUNT - 1}", tasks="inpaint:0.2")
    with writing(tmp_path / "study.db") as store:
        store.plan(planned)
        for job in planned[:-1]:
            truth = 100 + int(job.source[-1])
            levels = {"truth": truth, "recovered": truth + (10 if job.method == "csgm" else 20)}
            pictures = {
                kind: grey(tmp_path / "made", "x.png", level).read_bytes()
                for kind, level in levels.items()
            }
            store.record([replace(outcome(job), pictures=pictures)])
        yield store


def test_each_cell_is_compared_with_its_truths_or_a_folder(study: Store, weights, tmp_path: Path):
    notes: list[str] = []
    [found] = distances(study, weights=weights, note=notes.append)
    assert (found.task, found.method, found.pictures) == ("inpaint:0.2", "csgm", COUNT)
    assert (found.fid, found.kid, found.kid_std) == pytest.approx((10, COUNT, 0.75))
    assert notes == [f"inpaint:0.2 ilo: pictures of {COUNT - 1} images, too few to be compared"]
    for number in range(COUNT + 1):
        grey(tmp_path / "reference", f"{number}.png", 91)
    [found] = distances(study, tmp_path / "reference", weights=weights, note=notes.append)
    assert (found.fid, found.kid) == pytest.approx((20.5, COUNT + 1))


def test_what_is_missing_is_said_in_a_sentence(study: Store, weights, tmp_path: Path, monkeypatch):
    def refused(match: str, reference: Path | None = None, weights: Path | None = None) -> None:
        with pytest.raises(InputError, match=match):
            list(distances(study, reference, weights=weights, note=lambda _: None))

    refused("--weights, or let torch-fidelity fetch them with --download")
    refused("cannot read .*: No such file", weights=tmp_path / "none.pth")
    refused("holds no weights", weights=study.path)
    grey(tmp_path / "few", "one.png", 0)
    refused("holds 1 pictures; give at least 4", tmp_path / "few", weights)
    monkeypatch.setattr(fid, "FEWEST", 100)
    refused("holds no 100 pictures of any task and method", weights=weights)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    refused("pip install .interlayer.fidelity", weights=weights)


def test_weights_that_would_run_code_are_refused(study: Store, weights, tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "run",)

    torch.save({"w": Evil()}, weights)
    with pytest.raises(InputError, match="holds no weights"):
        list(distances(study, weights=weights, note=lambda _: None))
    assert not (tmp_path / "run").exists()
