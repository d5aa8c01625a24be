"""Freed memory is kept where a program asks for it, and nowhere else."""

import sys

import pytest
import torch

from interlayer import memory


class Libc:
    """A C library that takes every setting and notes the calls."""

    def __init__(self, takes: int = 1) -> None:
        self.calls: list[str] = []
        self.takes = takes

    def function(self, name: str):
        def call(*_: int) -> int:
            self.calls.append(name)
            return self.takes

        return call


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Libc:
    library = Libc()
    monkeypatch.setattr(memory, "_from_libc", library.function)
    monkeypatch.setattr(memory, "_keeps", False)
    return library


def test_nothing_is_returned_unless_it_was_kept(libc: Libc) -> None:
    assert not memory.return_freed_memory() and libc.calls == []
    assert memory.keep_freed_memory()
    assert memory.return_freed_memory() and libc.calls == ["mallopt"] * 3 + ["malloc_trim"]


def test_settings_that_are_not_taken_change_nothing(libc: Libc) -> None:
    libc.takes = 0
    assert not memory.keep_freed_memory()
    assert not memory.return_freed_memory() and "malloc_trim" not in libc.calls


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(memory, "_keeps", False)
    assert not memory.keep_freed_memory() and not memory.return_freed_memory()


def test_available_memory_is_within_the_limit_of_a_container(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    unlimited = memory.available_memory(torch.device("cpu"))
    assert unlimited > 0
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory.available_memory(torch.device("cpu")) == 2000
    assert memory.available_memory(torch.device("meta")) == 0
