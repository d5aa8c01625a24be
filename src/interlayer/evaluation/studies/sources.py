"""Images of a study: their sources, names and contents."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import deepinv.datasets
from deepinv.datasets import ImageFolder

from interlayer.errors import InputError
from interlayer.evaluation.studies.parsing import parse_seeds
from interlayer.media.files import digest, digest_files
from interlayer.media.samples import SAMPLE, sample_photo

GENERATED, DEEPINV = "generated:", "deepinv:"
SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif", ".jp2")
}


def find_images(text: str) -> list[str]:
    """Find the single images that one entry of ``images`` stands for.

    Raises:
        InputError: if there is none.

    >>> find_images("generated:3-5")
    ['generated:3', 'generated:4', 'generated:5']
    """
    if text.startswith(GENERATED):
        return [f"{GENERATED}{seed}" for seed in parse_seeds(text.removeprefix(GENERATED))]
    if text.startswith(SAMPLE):
        sample_photo(text.removeprefix(SAMPLE), 16)
        return [text]
    try:
        of_deepinv = text.startswith(DEEPINV)
        found = _of_deepinv(text.removeprefix(DEEPINV)) if of_deepinv else _of_disk(Path(text))
        files = sorted(file.resolve() for file in found if file.is_file())
    except OSError as error:
        reason = f"{error.strerror}; check the name"
        raise InputError(f"cannot look for images at {text}: {reason}") from None
    if not files:
        raise InputError(f"there are no images at {text}; give a picture, a folder or a glob")
    return [str(file) for file in files]


def _of_disk(path: Path) -> list[Path]:
    """A file, the pictures in a folder, or all files of a glob."""
    path = path.expanduser()
    if path.is_dir():
        return [file for file in path.iterdir() if file.suffix.lower() in SUFFIXES]
    if path.is_file():
        return [path]
    return [Path(name) for name in glob.glob(str(path), recursive=True)]


def _of_deepinv(text: str) -> list[Path]:
    """The picture files of ``NAME`` or ``NAME:FOLDER``; deepinv checks that they are there."""
    name, _, folder = text.partition(":")
    kinds: dict[str, Any] = {
        each: kind
        for each, kind in vars(deepinv.datasets).items()
        if isinstance(kind, type) and issubclass(kind, ImageFolder) and kind is not ImageFolder
    }
    if name not in kinds:
        raise InputError(
            f"deepinv has no folder of pictures named {name!r}; use {DEEPINV} with one of "
            f"{', '.join(kinds)}"
        )
    try:
        return [Path(file) for file in kinds[name](folder or None, use_dict_output=True).x_paths]
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"deepinv cannot open {name} ({reason}); fetch it with deepinv.datasets.{name}(FOLDER, "
            f"download=True) and give {DEEPINV}{name}:FOLDER"
        ) from None


def image_digest(source: str, prior: str) -> str:
    """SHA-256 of an image; of its seed and its prior where it is generated."""
    if source.startswith(GENERATED):
        return digest(f"{source} {prior}".encode())
    if source.startswith(SAMPLE):
        return digest(source.encode())
    return digest_files([Path(source)])


def distinct_images(
    sources: Sequence[str], prior: str, note: Callable[[str], None]
) -> Iterator[tuple[str, str, str]]:
    """Name, source and digest of every image; the name is the shortest that only it has."""
    sources = list(dict.fromkeys(sources))
    stems = Counter(map(_stem, sources))
    seen: dict[str, str] = {}
    for source in sources:
        try:
            content = image_digest(source, prior)
        except InputError:
            content = digest(f"unreadable {source}".encode())
        first = seen.setdefault(content, source)
        if first != source:
            note(f"{source} is left out: it is the same picture as {first}")
            continue
        yield _stem(source) if stems[_stem(source)] == 1 else source, source, content


def _stem(source: str) -> str:
    return source if source.startswith((GENERATED, SAMPLE)) else Path(source).stem
