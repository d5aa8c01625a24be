"""Products with a Gaussian matrix use several threads and disturb no other."""

import sys
import threading

import pytest
import torch

from interlayer.problem import gaussian
from interlayer.problem.gaussian import GaussianMatrix

SIZE = (3, 16, 16)


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gaussian, "BLOCK", ((8, 64), (8, 64)))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_a_product_changes_the_number_of_threads_of_none_but_its_own(
    three_threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, seen = GaussianMatrix._entries, []

    def observed(self, rows, columns):
        seen.append((threading.get_ident(), torch.get_num_threads(), threads_of_a_new_thread()))
        return entries(self, rows, columns)

    monkeypatch.setattr(GaussianMatrix, "_entries", observed)
    physics = GaussianMatrix(SIZE, m=40)
    physics.A_adjoint(physics.A(torch.rand(2, *SIZE)))
    assert torch.get_num_threads() == 3
    assert threading.get_ident() not in {ident for ident, _, _ in seen}
    assert {new for _, _, new in seen} == {3}
    if sys.platform == "linux":
        assert {own for _, own, _ in seen} == {1}


def test_results_are_those_of_one_thread(three_threads) -> None:
    physics, x = GaussianMatrix(SIZE, m=40), torch.rand(2, *SIZE)
    y = physics.A(x)
    several = y, physics.A_adjoint(y)
    torch.set_num_threads(1)
    assert torch.equal(physics.A(x), several[0])
    assert torch.equal(physics.A_adjoint(y), several[1])
