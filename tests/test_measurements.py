"""Measurements of tasks as files of plain data."""

from pathlib import Path

import pytest
import torch
from deepinv.physics import Denoising

from interlayer import InputError, Problem, write_image
from interlayer.problem import load_problem, measure, save_problem

SIZE = (3, 32, 32)


@pytest.mark.parametrize("task", ["inpaint:0.1", "circulant:0.1", "superres:4", "denoise:0.1"])
def test_measurements_are_saved_as_plain_data_and_read_back(tmp_path: Path, task):
    made = measure(torch.rand(1, *SIZE), task, seed=3)
    save_problem(made, tmp_path / "m.pt")
    plain = torch.load(tmp_path / "m.pt", weights_only=True)
    assert set(plain) == {"y", "task", "seed", "img_size", "masks"}
    read = load_problem(tmp_path / "m.pt")
    assert torch.equal(read.y, made.y)
    x = torch.rand(1, *SIZE)
    assert torch.equal(read.physics.A(x), made.physics.A(x))


def test_measurements_of_a_mask_need_no_mask_file_again(tmp_path: Path):
    painted = (torch.rand(1, 1, 32, 32) < 0.5).float().expand(1, 3, 32, 32)
    write_image(tmp_path / "mask.png", painted)
    made = measure(torch.rand(1, *SIZE), f"mask:{tmp_path / 'mask.png'}", seed=0)
    save_problem(made, tmp_path / "m.pt")
    (tmp_path / "mask.png").unlink()
    x = torch.rand(1, *SIZE)
    read = load_problem(tmp_path / "m.pt")
    assert torch.equal(read.physics.A(x), made.physics.A(x))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_other_files_are_not_measurements(tmp_path: Path, content):
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(InputError, match="is not a measurements file"):
        load_problem(tmp_path / "m.pt")


@pytest.mark.parametrize("stored", [{"foo": 1}, [1, 2], {"y": 3, "task": 1, "seed": 0}])
def test_other_archives_are_not_measurements(tmp_path: Path, stored):
    torch.save(stored, tmp_path / "m.pt")
    with pytest.raises(InputError, match="is not a measurements file"):
        load_problem(tmp_path / "m.pt")


def test_an_archive_that_would_run_code_is_refused_unrun(tmp_path: Path):
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"y": Hostile()}, tmp_path / "m.pt")
    with pytest.raises(InputError, match="is not a measurements file"):
        load_problem(tmp_path / "m.pt")
    assert not (tmp_path / "ran").exists()


def test_what_was_not_made_from_a_task_is_not_saved(tmp_path: Path):
    with pytest.raises(ValueError, match="of a task"):
        save_problem(Problem(Denoising(), torch.rand(1, *SIZE)), tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []
