"""Squares cut out of photos, with what the file says of their pixels."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.faces import Square, cut, middle_square
from interlayer.media.masks import Meaning, cut_mask, fit_mask, read_mask
from interlayer.media.photos import Photo
from interlayer.problem.jpeg_coefficients import Steps
from interlayer.problem.tasks import split_task

Note = Callable[[str], None]


def silently(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """A square cut out of a photo, which is to be explained as measurements of an image.

    Attributes:
        y: its pixels (1, 3, s, s) in [0, 1].
        known: mask (1, 1, s, s) of bool, those that are intact.
        steps: quantisation of the JPEG file, at the scale of the square; ``None`` for others.
        offset: rows and columns of the file above and left of the square; ``None`` where its pixels
            are not the file's but between them.
        scale: size of a pixel of the photo, in pixels of the square, at most 1.
        view: turned square that the image is in these pixels; ``None`` where it is all of them.
        turn: degrees by which the photo was turned clockwise to get them.
    """

    y: Tensor
    known: Tensor
    steps: Steps | None = None
    offset: tuple[int, int] | None = (0, 0)
    scale: float = 1.0
    view: Square | None = None
    turn: float = 0.0

    @property
    def side(self) -> int:
        """The side s in pixels."""
        return self.y.shape[-1]

    def reduced(self, side: int) -> Cutout:
        """The same at a smaller size."""
        whole, factor = middle_square(self.y), side / self.side
        offset = None if self.offset is None else (0, 0)
        known = cut_mask(self.known, whole, side)
        steps = None if self.steps is None else self.steps.rescaled(factor)
        return Cutout(cut(self.y, whole, side), known, steps, offset, self.scale * factor)


def cut_out(photo: Photo, known: Tensor, largest: int, square: Square | None = None) -> Cutout:
    """Cut a square out of a photo, at its own size or at most ``largest``.

    Around a turned square whole pixels are cut out, and not turned, unless it is larger.

    Args:
        photo: photo.
        known: mask (1, 1, H, W) of bool, pixels of the photo that are intact.
        largest: upper bound of the side in pixels.
        square: a turned square; ``None`` takes the largest in the middle, on whole pixels.
    """
    steps = None
    if photo.jpeg is not None:
        chroma = photo.jpeg.luma if photo.jpeg.chroma is None else photo.jpeg.chroma
        steps = Steps(photo.jpeg.luma, chroma).subsampled(*photo.jpeg.subsampling)
    if square is not None and square.side <= largest:
        return _around(photo.x, known, steps, square)
    if square is not None:
        factor = largest / square.side
        steps = None if steps is None else steps.rescaled(factor)
        x, inside = cut(photo.x, square, largest), cut_mask(known, square, largest)
        return Cutout(x, inside, steps, None, factor, turn=math.degrees(cmath.phase(square.axis)))
    corner, _, end, _ = middle_square(photo.x).corners
    rows, columns = slice(int(corner.imag), int(end.imag)), slice(int(corner.real), int(end.real))
    inside = (..., rows, columns)
    whole = Cutout(photo.x[inside], known[inside], steps, (rows.start, columns.start))
    return whole if whole.side <= largest else whole.reduced(largest)


def _around(photo: Tensor, known: Tensor, steps: Steps | None, square: Square) -> Cutout:
    """The upright square of whole pixels around a turned one; beyond the photo none is known."""
    columns, rows = zip(*((corner.real, corner.imag) for corner in square.corners), strict=True)
    left, top = math.floor(min(columns)), math.floor(min(rows))
    side = max(math.ceil(max(columns)) - left, math.ceil(max(rows)) - top)
    height, width = photo.shape[-2:]
    down, across = torch.arange(top, top + side), torch.arange(left, left + side)
    at = (..., down.clamp(0, height - 1)[:, None], across.clamp(0, width - 1))
    inside = ((down >= 0) & (down < height))[:, None] & (across >= 0) & (across < width)
    view = Square(square.centre - complex(left, top), square.axis)
    return Cutout(photo[at], known[at] & inside, steps, (top, left), view=view)


def intact_pixels(
    photo: Photo, task: str, note: Note, meaning: Meaning | None = None
) -> tuple[Tensor, str]:
    """The intact pixels (1, 1, H, W) of a photo by its alpha and masks, and the task without them.

    A mask takes the photo's way: it is turned and resized as the photo was.

    Args:
        photo: photo.
        task: task with any number of ``mask:FILE``.
        note: function that is called with what was guessed.
        meaning: what white is in masks, see `interlayer.media.masks.read_mask`.

    Raises:
        InputError: if a mask cannot be read, has another shape, or nothing is left.
    """
    known = torch.ones_like(photo.x[:, :1], dtype=torch.bool)
    if photo.known is not None:
        known = photo.known
        note("what is transparent in the photo is taken as missing")
    others = list[str]()
    for part in split_task(task):
        if not part.startswith("mask:"):
            others.append(part)
            continue
        path = Path(part.removeprefix("mask:"))
        mask = read_mask(path, meaning)
        note(f"{path.name}: {', '.join(mask.notes)}")
        known = known & fit_mask(mask.known, photo)
    if not known.any():
        raise InputError("no pixel of the photo is known; give masks that leave some")
    return known, "+".join(others)
