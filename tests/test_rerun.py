"""Runs of the command line that are repeated or continued."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from interlayer.generators import ToyGenerator
from interlayer.recipes.saving import load_solution

from .test_cli import photo, recover, run, toy  # noqa: F401 - fixtures


@pytest.mark.parametrize("method", ["csgm", "ilo", "auto"])
def test_a_run_is_repeated_byte_by_byte(monkeypatch, capsys, tmp_path, photo, method):  # noqa: F811
    out = tmp_path / "first"
    run(monkeypatch, "recover", photo, "--method", method, "--steps", 14, "--out", out, "--seed", 3)
    result = out / "photo" / "result.json"
    assert run(monkeypatch, "rerun", result, "--out", tmp_path / "again") == 0
    assert "the same, byte by byte" in " ".join(capsys.readouterr().err.split())
    again = tmp_path / "again" / "photo"
    assert (again / "recovered.png").read_bytes() == (result.parent / "recovered.png").read_bytes()
    first, second = (json.loads(f.read_text()) for f in (result, again / "result.json"))
    assert first["psnr"] == second["psnr"] and first["seed"] == second["seed"] == 3


def test_what_has_changed_since_is_not_run_again(monkeypatch, capsys, tmp_path, photo):  # noqa: F811
    recover(monkeypatch, photo, "--out", tmp_path / "first")
    result = tmp_path / "first" / "photo" / "result.json"
    photo.write_bytes(photo.read_bytes() + b" ")
    assert run(monkeypatch, "rerun", result, "--out", tmp_path / "again") == 2
    assert "has changed since" in capsys.readouterr().err
    photo.unlink()
    assert run(monkeypatch, "rerun", result, "--out", tmp_path / "again") == 2
    assert "does not exist any more" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"run": 3}', '{"run": {"arguments": {}}}'])
def test_other_files_are_not_run_again(monkeypatch, capsys, tmp_path, content):
    (tmp_path / "result.json").write_text(content)
    assert run(monkeypatch, "rerun", tmp_path / "result.json") == 2
    assert "does not say how it was made" in " ".join(capsys.readouterr().err.split())


def test_flags_of_a_file_are_checked_and_run_no_code(monkeypatch, capsys, tmp_path, photo):  # noqa: F811
    recover(monkeypatch, photo, "--out", tmp_path / "first")
    result = tmp_path / "first" / "photo" / "result.json"
    found = json.loads(result.read_text())
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    changes = {
        "not run for a file's sake": {"task": f"{tmp_path / 'mine.py'}:make"},
        "holds other flags": {"colour": "red"},
        "other flags than recover": {"steps": "many"},
    }
    for sentence, change in changes.items():
        arguments = found["run"]["arguments"] | change
        result.write_text(json.dumps(found | {"run": found["run"] | {"arguments": arguments}}))
        capsys.readouterr()
        assert run(monkeypatch, "rerun", result, "--out", tmp_path / "again") == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "ran").exists() and not (tmp_path / "again").exists()


def test_a_recovery_goes_on_from_its_point(monkeypatch, capsys, tmp_path, photo):  # noqa: F811
    few = ["--task", "inpaint:0.3", "--method", "ilo", "--steps", 12]
    run(monkeypatch, "recover", photo, *few, "--out", tmp_path / "a", "--keep-point")
    folder = tmp_path / "a" / "photo"
    begun = load_solution(folder / "solution.safetensors")
    again = ["--continue", folder, "--method", "auto", "--steps", 20, "--out", tmp_path / "b"]
    assert run(monkeypatch, "recover", *again, "--keep-point") == 0
    ended = load_solution(tmp_path / "b" / "photo" / "solution.safetensors")
    assert begun.point is not None and ended.point is not None
    assert all(record.layer >= begun.point.layer for record in ended.stages)
    assert ended.stages[0].holdout_loss <= begun.stages[-1].holdout_loss
    G = ToyGenerator(64)
    edited = ended.point.z + 0.1
    assert G(edited).shape == begun.x_hat.shape and not torch.equal(G(edited), G(ended.point.z))


def test_without_a_point_there_is_nothing_to_go_on_from(monkeypatch, capsys, tmp_path, photo):  # noqa: F811
    recover(monkeypatch, photo, "--out", tmp_path / "a")
    capsys.readouterr()
    assert recover(monkeypatch, "--continue", tmp_path / "a" / "photo") == 2
    assert "--keep-point" in capsys.readouterr().err
    deep = ["--task", "inpaint:0.3", "--method", "ilo", "--steps", 12, "--keep-point"]
    run(monkeypatch, "recover", photo, *deep, "--out", tmp_path / "b")
    capsys.readouterr()
    assert (
        recover(monkeypatch, "--continue", tmp_path / "b" / "photo", "--out", tmp_path / "c") == 2
    )
    assert "csgm moves no layer from" in capsys.readouterr().err


def test_a_task_beside_measurements_is_checked(monkeypatch, capsys, tmp_path, photo):  # noqa: F811
    recover(monkeypatch, photo, "--task", "inpaint:0.3", "--out", tmp_path / "a")
    file = tmp_path / "a" / "photo" / "measurements.pt"
    capsys.readouterr()
    assert (
        recover(
            monkeypatch, "--measurements", file, "--task", "superres:4", "--out", tmp_path / "b"
        )
        == 2
    )
    assert "was measured by inpaint:0.3, not by superres:4" in " ".join(
        capsys.readouterr().err.split()
    )
    assert (
        recover(
            monkeypatch, "--measurements", file, "--task", "inpaint:0.3", "--out", tmp_path / "b"
        )
        == 0
    )


def test_another_process_repeats_a_run(tmp_path):
    script = """
import sys
from pathlib import Path
import torch
from interlayer.app import cli
from interlayer.generators import ToyGenerator
from interlayer.weights import loading
loading.load = lambda *args, **kwargs: ToyGenerator(64)
sys.argv = ["interlayer", *sys.argv[1:]]
cli.main()
"""
    begin = [sys.executable, "-c", script]
    few = ["recover", "sample:astronaut", "--method", "auto", "--steps", "14"]
    subprocess.run([*begin, *few, "--out", str(tmp_path / "a")], check=True, capture_output=True)
    result = str(tmp_path / "a" / "astronaut" / "result.json")
    done = subprocess.run(
        [*begin, "rerun", result, "--out", str(tmp_path / "b")], check=True, capture_output=True
    )
    assert "byte by byte" in " ".join(done.stderr.decode().split())
    first, second = (Path(tmp_path / n / "astronaut" / "recovered.png") for n in "ab")
    assert first.read_bytes() == second.read_bytes()
