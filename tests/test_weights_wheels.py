from pathlib import Path

from interlayer.weights import wheels


def test_the_progress_bar_follows_the_largest_wheel(tmp_path: Path) -> None:
    assert wheels._largest(tmp_path) == 0
    (tmp_path / "pip-unpack").mkdir()
    (tmp_path / "pip-unpack" / "a.whl").write_bytes(b"12345")
    (tmp_path / "a.whl").write_bytes(b"12")
    (tmp_path / "a.log").write_bytes(b"1234567")
    assert wheels._largest(tmp_path) == 5


def test_the_reason_is_pips_last_error() -> None:
    assert wheels._reason("WARNING: a\nERROR: b\nERROR: c\n[notice] d\n") == "c"
    assert wheels._reason("python: No module named pip\n") == "python: No module named pip"
    assert wheels._reason("") == "pip said nothing"
