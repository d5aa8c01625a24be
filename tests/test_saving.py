"""Methods, settings and solutions as plain data: exactly the same after a round trip."""

import json
import subprocess
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from interlayer import METHODS, InputError, Settings, iterate, reconstruct, solve
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.problem import load_problem, measure, save_problem
from interlayer.recipes.saving import from_dict, load_solution, save_solution, to_dict

G = ToyGenerator()
NAMES = ("auto", "ilo", "sgilo")


def problem():
    return measure(draw_truths(G, [3]), "inpaint:0.3", seed=0)


def solved(method: str, **settings):
    states = reconstruct(problem(), G, method, steps=30, settings=Settings(**settings))
    return deque(states, maxlen=1)[0].solution()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_comes_back_from_json_as_it_was(name):
    method = METHODS[name](37)
    assert from_dict(json.loads(json.dumps(to_dict(method)))) == method
    assert from_dict(to_dict(Settings(seed=[1, 2], holdout=0.2))) == Settings((1, 2), 0.2)


def test_a_part_of_ones_own_is_no_plain_value():
    method = replace(METHODS["ilo"](9), fidelity=lambda predicted, y, weight, x: predicted)
    with pytest.raises(InputError, match="is of your own"):
        to_dict(method)
    with pytest.raises(InputError, match="save the solution it came from"):
        to_dict(Settings(start=solved("ilo").point))


@pytest.mark.parametrize(
    "plain", [{}, {"kind": "dance"}, {"kind": "settings"}, {"kind": "method", "name": "x"}, []]
)
def test_other_dictionaries_are_refused(plain):
    with pytest.raises(InputError, match="neither a method nor settings"):
        from_dict(plain)


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_comes_back_exactly(name, tmp_path):
    solution = solved(name)
    save_solution(solution, tmp_path / "s.safetensors")
    again = load_solution(tmp_path / "s.safetensors")
    assert repr(again) == repr(solution)
    assert torch.equal(again.x_hat, solution.x_hat) and torch.equal(again.losses, solution.losses)
    assert again.point is not None and solution.point is not None
    assert torch.equal(again.point.image(G), solution.point.image(G))
    assert [r.stage for r in again.stages] == [r.stage for r in solution.stages]


@pytest.mark.parametrize("name", NAMES)
def test_another_process_goes_on_from_a_saved_point_bit_by_bit(name, tmp_path):
    save_solution(solved("csgm"), tmp_path / "start.safetensors")
    save_problem(problem(), tmp_path / "y.pt")
    (tmp_path / "method.json").write_text(json.dumps(to_dict(METHODS[name](20).within(4))))
    script = """
import json, sys
from collections import deque
from pathlib import Path
from interlayer import Settings, iterate
from interlayer.generators import ToyGenerator
from interlayer.problem import load_problem
from interlayer.recipes.saving import from_dict, load_solution, save_solution
folder = Path(sys.argv[1])
method = from_dict(json.loads((folder / "method.json").read_text()))
settings = Settings(start=load_solution(folder / "start.safetensors").point)
states = iterate(load_problem(folder / "y.pt"), ToyGenerator(), method, settings)
save_solution(deque(states, maxlen=1)[0].solution(), folder / "there.safetensors")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    start = load_solution(tmp_path / "start.safetensors").point
    method = METHODS[name](20).within(4)
    states = iterate(load_problem(tmp_path / "y.pt"), G, method, Settings(start=start))
    here = deque(states, maxlen=1)[0].solution()
    assert torch.equal(load_solution(tmp_path / "there.safetensors").x_hat, here.x_hat)


def test_files_of_another_kind_or_layout_are_refused(tmp_path: Path):
    path = tmp_path / "s.safetensors"
    with pytest.raises(InputError, match="does not exist"):
        load_solution(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="is no solution of this version"):
        load_solution(path)
    save_file({"x_hat": torch.zeros(1)}, path, {"format": "interlayer solution 0"})
    with pytest.raises(InputError, match="is no solution of this version"):
        load_solution(path)
    save_file({"x_hat": torch.zeros(1)}, path, {"format": "interlayer solution 2", "plain": "[]"})
    with pytest.raises(InputError, match="is no solution of this version"):
        load_solution(path)


def test_a_latent_code_is_edited_and_decoded(tmp_path: Path):
    solution = solve(problem().physics, problem().y, G, METHODS["csgm"](20))
    assert solution.point is not None
    moved = replace(solution.point, z=solution.point.z + 0.5)
    torch.testing.assert_close(moved.image(G), G(solution.point.z + 0.5))
