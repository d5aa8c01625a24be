"""Pictures and masks from a visitor's photo or brush."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.base import Generator, draw_truths
from interlayer.media.faces import align
from interlayer.media.images import central_square, read_image, to_picture
from interlayer.media.samples import sample_photo

MAX_NUMBERS = 100_000  # of all brush strokes together
FINE = 1024  # strokes are drawn at about this side before they become pixels
HALF = 128  # of 255: a pixel that is covered by half is missing


def example(size: int) -> Image.Image:
    """The sample photo at ``size`` x ``size``."""
    return to_picture(sample_photo("astronaut", size))


def drawn(generator: Generator, seed: int) -> Image.Image:
    """The picture that a generator draws from a seed."""
    return to_picture(draw_truths(generator, [seed]))


def framed(file: Path, size: int) -> tuple[Image.Image, str]:
    """The face of a photo as generators know faces, or its middle, and one sentence about it.

    Raises:
        InputError: if the file is no picture that `read_image` takes; the sentence does not tell
            the path.
    """
    try:
        photo = read_image(file)
    except InputError as error:
        raise InputError(str(error).replace(str(file), "this file")) from None
    try:
        face = align(photo, size)
    except InputError as error:
        return central_square(to_picture(photo), size)[0], f"The middle of it is used: {error}."
    return to_picture(face.x), "The face in it was found, turned upright and cut out."


def painted_mask(strokes: Sequence[Sequence[float]], size: tuple[int, int]) -> Tensor:
    """A mask (1, 1, H, W): 0 where a brush has been, 1 elsewhere.

    Args:
        strokes: brush strokes, each ``[width, x0, y0, x1, y1, ...]``, in units of the picture's
            longer side.
        size: height and width of the mask in pixels.

    Raises:
        InputError: if nothing is painted, everything is, or these are not strokes.

    >>> painted_mask([[0.5, 0.0, 0.25, 1.0, 0.25]], (4, 4))[0, 0]
    tensor([[0., 0., 0., 0.],
            [0., 0., 0., 0.],
            [1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    height, width = size
    longer = max(size)
    finer = FINE // longer if longer <= FINE else FINE / longer
    side = longer * finer
    missing = Image.new("L", (max(1, round(width * finer)), max(1, round(height * finer))), 0)
    draw = ImageDraw.Draw(missing)
    for thickness, points in _checked(strokes):
        radius = thickness * side / 2
        pixels = [(x * side, y * side) for x, y in points]
        draw.line(pixels, fill=255, width=max(1, round(2 * radius)))
        for x, y in pixels:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    way = Image.Resampling.BOX if longer <= FINE else Image.Resampling.BILINEAR
    levels = np.array(missing.resize((width, height), way))
    mask = torch.from_numpy(levels < HALF).float()[None, None]
    if mask.all():
        raise InputError("nothing is painted over yet; paint over what is to be missing")
    if not mask.any():
        raise InputError("everything is painted over; leave some of the picture")
    return mask


def _checked(strokes: Sequence[Sequence[float]]) -> list[tuple[float, list[tuple[float, float]]]]:
    """Width and points of every stroke; they come from a browser, so anything may be in them."""
    try:
        numbers = [[float(value) for value in stroke] for stroke in strokes]
    except (TypeError, ValueError):
        numbers = [[]]
    plausible = all(
        len(s) >= 3 and len(s) % 2 and all(-1 <= v <= 2 for v in s) and 0 < s[0] <= 1
        for s in numbers
    )
    if not plausible or sum(map(len, numbers)) > MAX_NUMBERS:
        raise InputError("the painting cannot be read; clear it and paint again")
    return [(s[0], list(zip(s[1::2], s[2::2], strict=True))) for s in numbers]
