"""The folder of uploads: what visitors leave on the disk, and how it goes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from interlayer.app.demo import uploads

CHILD = """
import signal
import time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever runs the tests has set
from interlayer.app.demo.uploads import folder_of_page
with folder_of_page() as folder:
    (folder / "photo.png").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("way", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_folder_goes_however_the_page_ends(way, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip())
    assert (folder / "photo.png").is_file()
    uploads.remove_abandoned(tmp_path)
    assert folder.is_dir()  # its process is alive
    child.send_signal(way)
    child.wait(20)
    child.stdout.close()
    if way == signal.SIGKILL:
        deadline = time.monotonic() + 10
        while folder.exists() and time.monotonic() < deadline:
            uploads.remove_abandoned(tmp_path)
    assert not folder.exists()


def test_a_folder_that_somebody_holds_stays(tmp_path):
    held, left = (tmp_path / f"{uploads.FOLDER}{name}" for name in "ab")
    for folder in (held, left):
        folder.mkdir()
        (folder / uploads.LOCK).touch()
    with FileLock(held / uploads.LOCK):
        uploads.remove_abandoned(tmp_path)
        assert held.is_dir() and not left.exists()
