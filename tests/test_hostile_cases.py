"""Hostile and damaged files end in one sentence and exit status 2."""

import os
from pathlib import Path

import pytest
import torch

from interlayer import InputError
from interlayer.evaluation.studies.parsing import parse_seeds
from interlayer.generators.layout import Layout
from interlayer.problem import load_problem, measure, save_problem
from interlayer.weights.checkpoints import load_generator
from interlayer.weights.converted import write_converted

from .test_cli import run, toy  # noqa: F401 - a fixture

CASES = Path(os.environ.get("INTERLAYER_CASES", Path(__file__).parents[2] / "shared" / "cases"))
HOSTILE = sorted((CASES / "hostile").glob("*")) if CASES.is_dir() else []
needs_cases = pytest.mark.skipif(not HOSTILE, reason="no folder of cases")


@needs_cases
@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.name)
def test_a_hostile_file_is_refused(monkeypatch, capsys, tmp_path, file, request):
    work = tmp_path / file.name
    work.write_bytes(file.read_bytes())
    if file.name.startswith("in_meas"):
        request.getfixturevalue("toy")
        arguments = ["recover", "--measurements", work, "--out", tmp_path / "out"]
    elif file.suffix == ".yaml":
        arguments = ["bench", "run", work, "--store", tmp_path / "new.db"]
    elif file.suffix == ".db":
        arguments = ["bench", "status", "--store", work]
    else:
        arguments = ["generate", "--generator", work, "--seeds", "0", "--out", tmp_path / "out"]
    assert run(monkeypatch, *arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and "Traceback" not in said.err
    assert not list(tmp_path.glob("out/*.png"))


@pytest.mark.parametrize("text", ["0-99999999999", "9" * 5000, "3-1", "0-1000000", "1,x", ""])
def test_lists_of_seeds_have_bounds(text):
    with pytest.raises(InputError):
        parse_seeds(text)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": float("inf")},
        {"seed": 2**80},
        {"seed": -1},
        {"img_size": [3, 16]},
        {"img_size": [3, 2**40, 16]},
        {"img_size": torch.tensor([3, 16, 16])},
        {"task": 3},
        {"masks": {"a": "b"}},
        {"y": None},
    ],
)
def test_every_value_of_a_measurements_file_is_of_its_kind(tmp_path, change):
    path = tmp_path / "y.pt"
    save_problem(measure(torch.rand(1, 3, 16, 16), "inpaint:0.5", seed=0), path)
    torch.save(torch.load(path, weights_only=True) | change, path)
    with pytest.raises(InputError, match="is not a measurements file"):
        load_problem(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_weights_that_give_no_picture_are_refused(tmp_path, value):
    tensors = Layout(channels=(8, 8, 4), z_dim=8, mapping=(8, 8)).random_tensors(seed=0)
    tensors["16.rgb.bias"] = torch.full_like(tensors["16.rgb.bias"], value)
    path = tmp_path / "G.safetensors"
    metadata = {"architecture": "stylegan2", "resolution": "16", "settings": "{}"}
    write_converted(path, tensors, metadata)
    with pytest.raises(InputError, match=r"not finite|give no picture"):
        load_generator(path)
