from pathlib import Path

import pytest

from interlayer.errors import InputError
from interlayer.media.files import alone_in, replacing, writable_folder, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_old_content_stays_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["result.json"]


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt, SystemExit])
def test_any_exception_leaves_the_old_file_alone(tmp_path: Path, exception) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(exception), replacing(path) as temporary:
        temporary.write_text("half")
        raise exception
    assert path.read_text() == "old"
    assert names(tmp_path) == ["result.json"]


def test_an_exception_before_anything_was_written_passes_through(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a.txt"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_a_folder_in_the_way_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(InputError, match="cannot write .*directory"):
        write_text(tmp_path / "a.txt", "text")
    assert names(tmp_path) == ["a.txt"]


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "µ ≤ 1")
    assert (tmp_path / "a.txt").read_bytes().decode("utf-8") == "µ ≤ 1"


def test_a_writable_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir() and names(folder) == []
    assert writable_folder(folder) == folder


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder that nobody can write to")
def test_a_folder_that_takes_no_files_is_refused() -> None:
    with pytest.raises(InputError, match="cannot write to /proc: .*; choose another folder"):
        writable_folder(Path("/proc"))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InputError, match="it is not a folder"):
        writable_folder(file)
    with pytest.raises(InputError, match="cannot write to"):
        writable_folder(file / "below")


def test_one_holder_at_a_time(tmp_path: Path, monkeypatch) -> None:
    class Waited(Exception):
        pass

    def waited() -> None:
        raise Waited

    with alone_in(tmp_path, waited):
        with pytest.raises(Waited), alone_in(tmp_path, waited):
            pass
    with alone_in(tmp_path, waited):
        pass
