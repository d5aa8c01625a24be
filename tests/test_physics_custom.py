"""Operators from a file of the user's."""

from pathlib import Path

import pytest
import torch
from deepinv.physics import LinearPhysics, Physics

from interlayer import InputError, make_physics
from interlayer.problem import physics_from_file

SIZE = (3, 8, 8)


@pytest.fixture
def written(tmp_path: Path):
    def write(body: str) -> Path:
        path = tmp_path / "own.py"
        path.write_text(f"import torch\n{body}\n", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("body", "linear"),
    [
        ("def make(): return lambda x: x.flip(-1)[:, :1]", True),
        ("def make(img_size): return lambda x: x * 2", True),
        ("def make(img_size, seed): return lambda x: x**2 + seed", False),
        ("def make(*args): return lambda x: x[..., ::2] - len(args)", False),
        ("def make(img_size, *, extra=1): return lambda x: x.sum((2, 3)) * extra", True),
        ("from deepinv.physics import BlurFFT\n"
         "def make(img_size): return BlurFFT(img_size, filter=torch.ones(1, 1, 3, 3) / 9)", True),
    ],
)  # fmt: skip
def test_functions_and_physics_become_physics(written, body, linear):
    physics = physics_from_file(written(body), "make", SIZE, seed=5)
    assert isinstance(physics, Physics) and isinstance(physics, LinearPhysics) == linear
    x = torch.rand(2, *SIZE, requires_grad=True)
    assert torch.autograd.grad(physics(x).square().sum(), x)[0].isfinite().all()
    if isinstance(physics, LinearPhysics):
        assert physics.adjointness_test(x.detach().double()).abs() < 1e-6


def test_an_attribute_says_that_a_function_is_linear(written):
    body = "def make():\n    def A(x): return x.abs()\n    A.linear = True\n    return A"
    assert isinstance(physics_from_file(written(body), "make", SIZE), LinearPhysics)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("def make(: pass", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError .division by zero."),
        ("raise SystemExit(3)", "SystemExit"),
        ("other = 1", "defines no function make"),
        ("make = 3", "defines no function make"),
        ("def make(): return 3", "returned int"),
        ("def make(a, b, c): pass", "TypeError"),
        ("def make(): return lambda x: x[..., :2] @ x", "RuntimeError"),
        ("def make(): return lambda x: x.sum()", "first dimension"),
        ("def make(): return lambda x: [x]", "failed|first dimension"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence_with_its_name(written, body, says):
    path = written(body)
    with pytest.raises(InputError, match=says) as caught:
        make_physics(f"{path}:make", SIZE)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="does not exist"):
        make_physics(f"{tmp_path / 'no.py'}:make", SIZE)


def test_own_operators_compose(written):
    path = written("def make(img_size): return lambda x: x[..., ::2, ::2]")
    y = make_physics(f"superres:2+{path}:make+denoise:0.1", SIZE)(torch.rand(1, *SIZE))
    assert y.shape == (1, 3, 2, 2)
