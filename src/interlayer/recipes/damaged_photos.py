"""Photos that are measurements already: noisy, small, blurred, grey, scratched, compressed.

Nothing about a photo is exact. Its numbers were rounded by the camera, and again by JPEG; what lay
beyond its edges is unknown. All of that becomes part of the problem, as a task that stands for the
photo at its own size:

    superres:K          from the sizes: the image is K times as large as the photo
    deblur:SIGMA,open   as the user says, in pixels of the photo, with open edges
    mask:seen           what the photo shows: no holes, nor edges that depend on what is beyond
    jpeg-file:GRID      in place of pixels the numbers in the file, whose errors are independent
    denoise:S           at least the rounding to 8 bits
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from deepinv.physics import Decolorize
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.faces import Square, cut, middle_square
from interlayer.media.masks import Meaning, cut_mask, fit_mask, read_mask
from interlayer.media.photos import Photo, read_photo
from interlayer.problem.blur import OpenBlur
from interlayer.problem.facts import known_pixels
from interlayer.problem.jpeg_coefficients import JPEGCoefficients, Steps, believed
from interlayer.problem.linear import operators_of
from interlayer.problem.noise_level import estimate_noise
from interlayer.problem.problem import Problem
from interlayer.problem.tasks import JPEG_STEPS, Task, make_physics, split_task

Note = Callable[[str], None]
ROUNDING = 1 / 255 / 12**0.5
LEAST_NOISE, LEAST_SIDE = 1e-3, 16
HOLES, BLURS = ("inpaint", "box", "half"), ("deblur", "defocus", "motion")
SEEN = "seen"


@dataclass(frozen=True, eq=False)
class Picture:
    """A square cut out of a photo, which is to be explained as measurements of an image.

    Attributes:
        y: its pixels (1, 3, s, s) in [0, 1].
        known: mask (1, 1, s, s) of bool, those that are intact.
        steps: quantisation of the JPEG file, at the scale of the picture; ``None`` for others.
        offset: rows and columns of the file above and left of the picture.
        scale: size of a pixel of the photo, in pixels of the picture, at most 1.
    """

    y: Tensor
    known: Tensor
    steps: Steps | None = None
    offset: tuple[int, int] = (0, 0)
    scale: float = 1.0

    @property
    def side(self) -> int:
        """The side s in pixels."""
        return self.y.shape[-1]


def cut_picture(photo: Photo, known: Tensor, largest: int, square: Square | None = None) -> Picture:
    """Cut a square out of a photo, at its own size or at most ``largest``.

    Args:
        photo: photo.
        known: mask (1, 1, H, W) of bool, pixels of the photo that are intact.
        largest: upper bound of the side in pixels.
        square: a turned square; ``None`` takes the largest in the middle, on whole pixels.
    """
    steps = None
    if photo.jpeg is not None:
        chroma = photo.jpeg.luma if photo.jpeg.chroma is None else photo.jpeg.chroma
        steps = Steps(photo.jpeg.luma, chroma)
    middle = middle_square(photo.x)
    if square is None and middle.side <= largest:
        above, left = (int(part) for part in (middle.corners[0].imag, middle.corners[0].real))
        rows, columns = (slice(start, start + round(middle.side)) for start in (above, left))
        inside = (..., rows, columns)
        return Picture(photo.x[inside], known[inside], steps, (above, left))
    square = square or middle
    side = min(largest, max(1, round(square.side)))
    factor = min(1.0, side / square.side)
    steps = None if steps is None else steps.rescaled(factor)
    return Picture(cut(photo.x, square, side), cut_mask(known, square, side), steps, (0, 0), factor)


def read_measured(
    path: Path,
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    note: Note | None = None,
    meaning: Meaning | None = None,
) -> Problem:
    """Take the middle of a photo as the measurements of a task, of which no truth is known.

    Args:
        path: the photo.
        task: task that describes how the photo came about, see `explain`; a ``mask:FILE`` in it
            goes the photo's way: turned, resized and cut as the photo is.
        img_size: shape (3, H, W) of the image to recover.
        seed: seed of the operator.
        note: function that is called with one sentence for each thing assumed.
        meaning: what white is in masks, see `interlayer.media.masks.read_mask`.

    Raises:
        InputError: if a file cannot be read, or as for `explain`.
    """
    say = note or _silently
    photo = read_photo(path)
    if photo.notes:
        say(f"{path.name}: {', '.join(photo.notes)}")
    known, rest = known_in(photo, task, say, meaning)
    picture = cut_picture(photo, known, img_size[-1])
    height, width = photo.x.shape[-2:]
    if height != width:
        say(f"{path.name}: {width}x{height} cropped to its central square")
    return explain(picture, rest, img_size, seed, note)


def known_in(
    photo: Photo, task: str, note: Note, meaning: Meaning | None = None
) -> tuple[Tensor, str]:
    """The intact pixels (1, 1, H, W) of a photo by its alpha and masks, and the task without them.

    Args:
        photo: photo.
        task: task with any number of ``mask:FILE``.
        note: function that is called with what was guessed.
        meaning: what white is in masks.

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
        mask = read_mask(part.removeprefix("mask:"), meaning)
        note(f"{Path(part.removeprefix('mask:')).name}: {', '.join(mask.notes)}")
        known = known & fit_mask(mask.known, photo)
    if not known.any():
        raise InputError("no pixel of the photo is known; give masks that leave some")
    return known, "+".join(others)


def explain(
    picture: Picture,
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    note: Note | None = None,
) -> Problem:
    """Take a picture as the measurements of an image.

    What the picture tells need not be given: the factor of ``superres`` follows from the sizes, the
    noise of ``denoise`` and the steps of a JPEG file from the picture. Levels in pixels are in
    pixels of the photo.

    Args:
        picture: picture to explain.
        task: parts such as ``deblur:2``, see `interlayer.problem.TASKS`; empty for a photo that is
            only small or incomplete.
        img_size: shape (3, H, W) of the image to recover.
        seed: seed of the operator.
        note: function that is called with one sentence for each thing assumed.

    Raises:
        InputError: if a part is unknown, its level is missing or out of range, or it measures no
            picture.
    """
    say = note or _silently
    parts = [_Part(*part.partition(":")[::2]) for part in split_task(task)] if task else []
    for part in parts:
        part.check()
    picture = _as_small_as_said(picture, parts, img_size[-1])
    size = (3, picture.side, picture.side)
    grey = any(part.name == "colorize" for part in parts)
    y = Decolorize(img_size=size).A(picture.y) if grey else picture.y
    seen = picture.known
    for part in parts:
        if part.name in HOLES:
            known = known_pixels(make_physics(part.text, size, seed))
            assert known is not None
            seen = seen & known[:, :1]
    operators = [part.operator(picture.scale) for part in parts if part.acts]
    for part, text in zip([part for part in parts if part.acts], operators, strict=True):
        if picture.scale < 1 and part.name in BLURS:
            say(f"{part.text} of the photo is {text} of the picture, which is {picture.scale:.3g} "
                "times as large")
    noise = _noise(y, parts, seen, say)
    last, tensors, noise = _sensor(y, picture, parts, seen, operators, noise)
    enlarged = [f"superres:{img_size[-1] / picture.side:.6g}"] * (picture.side < img_size[-1])
    exact = last == [f"mask:{SEEN}"] and not enlarged and not operators and noise == ROUNDING
    texts = [*enlarged, *operators, *last, *([] if exact else [_level(noise)])]
    made = Task("+".join(texts), img_size, seed, tensors)
    physics = made.physics()
    measures = operators_of(physics)[-1]
    if last:
        y = measures.A(y)
    return Problem(physics, y, task=made, approximate=True)
