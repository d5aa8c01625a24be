"""Picture files as photos: their pixels, and what was changed in reading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from interlayer.media.images import read_image


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture file as a photo.

    Attributes:
        x: pixels (1, 3, H, W) in [0, 1], upright.
        known: mask (1, 1, H, W) of the opaque pixels; ``None`` where all are.
        jpeg: tables of the JPEG file; ``None`` for other files.
        orientation: EXIF orientation that was undone.
        notes: clauses about what was changed in reading.
    """

    x: Tensor
    known: Tensor | None = None
    jpeg: Any = None
    orientation: int = 1
    notes: tuple[str, ...] = ()


def read_photo(path: Path) -> Photo:
    """Read a picture file as a photo.

    Raises:
        InputError: if it cannot be read.
    """
    notes: list[str] = []
    return Photo(read_image(path, note=notes.append), notes=tuple(notes))
