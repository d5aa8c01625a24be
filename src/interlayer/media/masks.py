"""Mask files as people paint them: which pixels of a photo are known."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.colours import alpha_of
from interlayer.media.faces import Square, cut
from interlayer.media.opening import decoded
from interlayer.media.photos import (
    OPAQUE,
    Photo,
    deep_levels,
    is_deep,
    orientation_of,
    turned,
)

Meaning = Literal["known", "hole"]

MINORITY = 0.35  # share of the picture up to which white may be what is painted over
# Scattered pixels are many, and have hardly more neighbours than chance gives them.
LEAST_SCATTERED, CLUSTERED = 20, 0.1
NEARLY_ALL, NEARLY_NOTHING = 0.995, 0.005
SAME_SHAPE = 0.01  # part by which the ratio of the sides may differ
HALF = 0.5 - 1e-4  # a pixel is known from here on; less than a half for rounding's sake
GUESSED = "guessed; --mask-is hole|known says it"


@dataclass(frozen=True, eq=False)
class Mask:
    """Mask file as a mask.

    Attributes:
        known: mask (1, 1, H, W) of bool, upright, at the file's own size.
        notes: clauses that say how it was read and which share of the picture is known.
    """

    known: Tensor
    notes: tuple[str, ...]


def read_mask(path: str | Path, meaning: Meaning | None = None) -> Mask:
    """Read any still picture as a mask.

    Pixels are white from half of the largest value on, so that values 0 and 1 do; in a layer with
    transparent pixels, those that are at least half opaque count as painted. Without a meaning,

    - white is known, unless it covers less than 35 % in strokes or areas: then it is the hole.
      Scattered pixels, in which white has no more neighbours than chance gives it, are known;
    - what is painted on a layer is the hole where it is the smaller part, else what is transparent.

    Args:
        path: picture file, see `interlayer.media.photos.read_photo`.
        meaning: what white or painted pixels are; by default it is guessed, and a note says so.

    Raises:
        InputError: if the file is not read, or nothing would be known.
    """
    path = Path(path)
    picture = decoded(path)
    painted = _opaque(picture)
    on_layer, notes = painted is not None, ()
    if painted is None:
        painted, notes = _white(path, picture)
    if meaning is None:
        meaning, note = _guess_on_layer(painted) if on_layer else _guess(painted)
    else:
        state = "known" if meaning == "known" else "missing"
        note = f"{'painted' if on_layer else 'white'} pixels are {state}"
    known = torch.from_numpy(painted if meaning == "known" else ~painted)[None, None]
    if not known.any():
        colour = "painted" if on_layer else "white" if meaning == "known" else "black"
        paint = "paint" if on_layer else "paint white"
        what = "what is known" if meaning == "known" else "only what is missing"
        raise InputError(f"{path} has no {colour} pixel, so nothing is measured: {paint} {what}")
    known = turned(known, orientation_of(picture))
    return Mask(known, (*notes, note, share_known(known)))


def fit_mask(mask: Tensor, photo: Photo) -> Tensor:
    """Bring a mask (1, 1, h, w) to the size (1, 1, H, W) of a photo, the way the photo came.

    A mask of the photo's shape is resized, with its edges hard again; one of the shape that the
    photo's file has before its EXIF orientation is undone is turned like the photo.

    Raises:
        InputError: if the mask has another shape, or no known pixel is left at the photo's size.
    """
    height, width = photo.x.shape[-2:]
    if not _same_shape(mask, height, width):
        as_stored = photo.orientation >= 5 and _same_shape(mask, width, height)
        mask = turned(mask, photo.orientation) if as_stored else mask
    return resize_mask(mask, height, width)


def resize_mask(mask: Tensor, height: int, width: int) -> Tensor:
    """Resize a mask (1, 1, h, w) of the same shape to (1, 1, height, width), bool.

    A pixel is known where at least half of it is.

    Raises:
        InputError: if the ratio of the sides differs by more than 1 %, or no known pixel is left.

    >>> mask = torch.tensor([[[[True, False], [True, True]]]])
    >>> resize_mask(mask, 4, 4)[0, 0, 0]
    tensor([ True,  True, False, False])
    """
    if not _same_shape(mask, height, width):
        raise InputError(
            f"the mask is {mask.shape[-1]}x{mask.shape[-2]} but the photo {width}x{height}: "
            "draw it over the photo, at any size of the same shape"
        )
    if mask.shape[-2:] == (height, width):
        return mask.bool()
    resized = F.interpolate(mask.float(), (height, width), mode="bilinear", antialias=True) >= HALF
    if not resized.any():
        raise InputError(
            f"nothing that the mask says is known is left at {width}x{height}; "
            "draw it at that size, or with larger known areas"
        )
    return resized


def cut_mask(known: Tensor, square: Square, size: int) -> Tensor:
    """Cut a square of a photo out of its mask (1, 1, H, W), as (1, 1, size, size) of bool.

    A pixel is known where at least half of it is; beyond the photo nothing is.

    >>> cut_mask(torch.ones(1, 1, 8, 8).bool(), Square(8 + 4j, 4 + 0j), 4)[0, 0, 0]
    tensor([ True,  True, False, False])
    """
    steps = (torch.arange(size, device=known.device) + 0.5) * (2 / size) - 1
    v = torch.complex(steps.expand(size, size), steps[:, None].expand(size, size))
    at, (height, width) = square.centre + square.axis * v, known.shape[-2:]
    inside = (at.real > 0) & (at.real < width) & (at.imag > 0) & (at.imag < height)
    return (cut(known.float(), square, size) >= HALF) & inside


def share_known(known: Tensor) -> str:
    """Say which share of a picture a mask leaves, with a warning if it is nearly all or nothing.

    >>> share_known(torch.tensor([True, True, True, False]))
    '75 % of the picture is known'
    """
    share = known.float().mean().item()
    percent = share * 100 if share in (0, 1) else min(max(share * 100, 0.01), 99.99)
    text = f"{percent:.{4 if share >= NEARLY_ALL else 3}g} % of the picture is known"
    if share == 1:
        return f"{text}, so that nothing is missing"
    if share >= NEARLY_ALL:
        return f"{text}, so that hardly anything is missing"
    return f"{text}, which is hardly anything" if share <= NEARLY_NOTHING else text


def _opaque(picture: Image.Image) -> np.ndarray | None:
    """Where a layer (H, W) is painted; None for a picture without transparent pixels."""
    alpha = alpha_of(picture)
    painted = None if alpha is None else np.array(alpha) >= OPAQUE
    return None if painted is None or painted.all() else painted


def _white(path: Path, picture: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """Where a picture (H, W) is white, and what was taken as white if it is not 255."""
    if is_deep(picture):
        levels = deep_levels(path, picture)
    elif picture.has_transparency_data:
        levels = np.array(picture.convert("RGBA").convert("L"))
    else:
        levels = np.array(picture.convert("L"))
    largest = levels.max()
    note = () if largest in (0, 255) else (f"the largest value, {largest:g}, is taken as white",)
    return (levels > 0) & (levels >= largest / 2), note


def _guess(white: np.ndarray) -> tuple[Meaning, str]:
    if not 0 < white.mean() < MINORITY:
        return "known", "white pixels are known"
    if _scattered(white):
        return "known", f"scattered white pixels are known ({GUESSED})"
    return "hole", f"white pixels are the hole ({GUESSED})"


def _guess_on_layer(painted: np.ndarray) -> tuple[Meaning, str]:
    if painted.mean() < 0.5:
        return "hole", f"transparent pixels are known, painted ones are missing ({GUESSED})"
    return "known", f"painted pixels are known, transparent ones are missing ({GUESSED})"


def _scattered(white: np.ndarray) -> bool:
    """Say whether white pixels stand alone: c - p is small against 1 - p.

    p is the share of white pixels, and c that of white ones among the neighbours of white ones.
    """
    cells = torch.from_numpy(white[:: _cell(white), :: _cell(white.T)].astype(np.float32))
    if cells.sum() < LEAST_SCATTERED:
        return False
    neighbours = (9 * F.avg_pool2d(cells[None, None], 3, stride=1, padding=1)[0, 0] - cells) / 8
    p, c = cells.mean(), neighbours[cells > 0].mean()
    return bool(c - p < CLUSTERED * (1 - p))


def _cell(white: np.ndarray) -> int:
    """Height of the equal cells that a mask consists of, as enlarged ones do; often 1."""
    edges = 1 + np.flatnonzero((white[1:] != white[:-1]).any(1))
    return gcd(len(white), *edges.tolist())


def _same_shape(mask: Tensor, height: int, width: int) -> bool:
    ratio = mask.shape[-1] * height / (mask.shape[-2] * width)
    return abs(ratio - 1) <= SAME_SHAPE
