"""`interlayer doctor`: each line says what was found, and what to do about it."""

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from interlayer.app import cli, doctor
from interlayer.weights import cache
from interlayer.weights.table import WEIGHTS

Lines = Callable[[], tuple[int, dict[str, str]]]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lines:
    """The exit status of the command, and its lines by what they are about."""
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["interlayer", "doctor"])

    def run() -> tuple[int, dict[str, str]]:
        with pytest.raises(SystemExit) as caught:
            cli.main()
        lines = capsys.readouterr().out.splitlines()
        return int(caught.value.code or 0), {line.split()[0]: line for line in lines}

    return run


def test_a_sound_installation_is_described_and_tried(examined, monkeypatch, tmp_path):
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path / "none" / "yet"))
    status, lines = examined()
    assert status == 0
    assert list(lines) == [
        "versions", "device", "memory", "cache", "weights", "extras", "self-test"
    ]  # fmt: skip
    assert f"torch {torch.__version__}" in lines["versions"]
    assert str(tmp_path) in lines["cache"] and not (tmp_path / "none").exists()
    assert lines["weights"].endswith(f"pulled when first used: {', '.join(WEIGHTS)}")


def test_damaged_weights_full_disks_and_little_memory_come_with_advice(
    examined, monkeypatch, tmp_path
):
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path))
    (cache.cache_folder() / WEIGHTS["faces64"].file).write_bytes(b"half of it")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**8))
    monkeypatch.setattr(doctor, "available_memory", lambda _: 10**9)
    _, lines = examined()
    assert lines["weights"].endswith("faces64 damaged; interlayer pull faces64")
    assert "0.1 GB free there; make room" in lines["cache"]
    assert "1.0 GB free; a picture of 1024 pixels takes up to 2.5 GB" in lines["memory"]


def test_what_an_extra_lacks_is_named_with_how_to_get_it(examined, monkeypatch):
    monkeypatch.setattr(
        doctor, "_is_there", lambda requirement: requirement.name != "imageio-ffmpeg"
    )
    _, lines = examined()
    assert lines["extras"].endswith("pip install 'interlayer[video]' for the rest")
    assert "dev" not in lines["extras"] and "demo" in lines["extras"]


def test_a_recovery_that_fails_ends_with_status_1(examined, monkeypatch):
    monkeypatch.setattr(doctor, "metrics", lambda *_: {"psnr": 12.0})
    status, lines = examined()
    assert status == 1 and lines["self-test"].endswith("that is too little: please report it")
