"""Files that are written so that a reader finds the old one or the new one, never a half."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from interlayer.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``, moved onto it on success and removed on failure.

    The name has the same suffix and starts with a dot. A ``path`` that exists keeps its content
    until the block has ended, and for good when the block raises (Ctrl-C included).

    Raises:
        InputError: if the file system refuses; one sentence that says why.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "note.txt") as temporary:
    ...         _ = temporary.write_text("done")
    ...     [file.name for file in Path(folder).iterdir()]
    ['note.txt']
    """
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; make room or choose another place"
        ) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path`` through `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def writable_folder(path: Path) -> Path:
    """Make a folder with its parents, prove that it takes files, and return it.

    Raises:
        InputError: if the folder cannot be made, is not a folder, or takes no files.

    >>> writable_folder(Path("/dev/null/pictures"))
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: cannot write to /dev/null/pictures: Not a directory; choose ...
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = "it is not a folder" if path.is_file() else error.strerror or str(error)
        raise InputError(f"cannot write to {path}: {reason}; choose another folder") from None
    return path


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Put the name of the file before the sentence of any `InputError` about it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None


@contextmanager
def alone_in(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of ``folder``, calling ``on_wait`` once if another process has it.

    The system frees the lock when its process dies, however it dies.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def digest_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the contents of files, one after another.

    Raises:
        InputError: if one cannot be read.
    """
    found = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    found.update(block)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}; check the name") from None
    return found.hexdigest()
