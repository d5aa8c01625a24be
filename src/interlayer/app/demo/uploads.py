"""The folder of what visitors upload to the page, which outlives no page."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

FOLDER, LOCK = "interlayer-demo-", "page.lock"
TERMINATED = 128 + signal.SIGTERM


@contextmanager
def folder_of_page() -> Iterator[Path]:
    """Give a folder for uploads that is gone at the end, however that comes.

    SIGTERM ends the process as Ctrl-C does. What a process that was killed has left behind is
    removed by the next one.
    """
    remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=FOLDER) as folder, FileLock(Path(folder) / LOCK):
        with _terminable():
            yield Path(folder)


def remove_abandoned(parent: Path) -> None:
    """Remove the folders in ``parent`` of pages whose process, which held the lock, is gone."""
    for lock in parent.glob(f"{FOLDER}*/{LOCK}"):
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(lock.parent, ignore_errors=True)
        except (Timeout, OSError):  # alive, or another user's
            continue


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the process in order, where that is the main thread's to decide."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(TERMINATED)
