"""Picture files as photos: upright, in sRGB, with what else the file says about its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.colours import in_srgb
from interlayer.media.jpeg_tables import JpegTables, read_tables
from interlayer.media.opening import decoded

PAPER = (255, 255, 255)
OPAQUE = 128  # of 255: from here on a pixel counts as opaque
WHITES = (255, 1023, 4095, 16383, 65535)  # of sensors with 8, 10, 12, 14 and 16 bits
DARKEST = 1 / 255  # share of white below which a picture cannot be told from a black one
SLIGHTLY_ABOVE_1 = 2.0  # where resampling takes floating-point values in [0, 1]


@dataclass(frozen=True, eq=False)
class Photo:
    """Picture file as a photo.

    Attributes:
        x: photo (1, 3, H, W) in [0, 1], upright, sRGB, on white where the file is transparent.
        known: mask (1, 1, H, W) of bool, True where the file is at least half opaque; None where
            all of it is opaque.
        jpeg: compression of a JPEG file; None where the pixels are not those that it has stored.
        orientation: EXIF orientation (1..8) that was undone.
        notes: clauses that say what was changed or assumed, such as "laid on white".
    """

    x: Tensor
    known: Tensor | None
    jpeg: JpegTables | None
    orientation: int
    notes: tuple[str, ...]


def read_photo(path: str | Path, white: float | None = None) -> Photo:
    """Read any still picture as a photo.

    The EXIF orientation is undone and colours become sRGB by their profile. Values of more than
    8 bits keep their precision; which of them is white is guessed from the largest one: 1 in files
    of floating-point numbers up to about 1, else the largest value of 8, 10, 12, 14 or 16 bits.

    Args:
        path: file in PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, AVIF, JPEG 2000 or HEIC.
        white: value that is white in a file with more than 8 bits; by default it is guessed.

    Raises:
        InputError: if the file is missing, no picture, damaged, animated, less than 8 pixels wide
            or high, or larger than 40 megapixels; if its values are not finite; or if ``white``
            does not suit them.
    """
    path = Path(path)
    picture = decoded(path)
    orientation = orientation_of(picture)
    if is_deep(picture):
        levels = deep_levels(path, picture)
        white, notes = _white_level(path, levels, white)
        x, known = as_image(levels.clip(0, white), white), _unlike_transparent(picture, levels)
        if known is not None:
            x, notes = x.where(known, 1.0), (*notes, "laid on white")
        return Photo(turned(x, orientation), _turned(known, orientation), None, orientation, notes)
    if white not in (None, 255):
        raise InputError(f"{path} has 8-bit values, of which 255 is white; leave white={white} out")
    srgb = in_srgb(picture)
    colours, notes, known = srgb.picture, srgb.notes, None
    if srgb.alpha is not None:
        colours = Image.composite(colours, Image.new("RGB", colours.size, PAPER), srgb.alpha)
        notes = (*notes, "laid on white")
        known = torch.from_numpy(np.array(srgb.alpha) >= OPAQUE)[None, None]
    x = turned(as_image(np.array(colours), 255), orientation)
    jpeg = read_tables(picture, orientation) if srgb.as_stored else None
    return Photo(x, _turned(known, orientation), jpeg, orientation, notes)


def as_image(levels: np.ndarray, white: float) -> Tensor:
    """Convert levels (H, W) or (H, W, 3) to an image (1, 3, H, W), 1 where they are ``white``.

    >>> as_image(np.array([[0, 51]]), 255)[0, :, 0]
    tensor([[0.0000, 0.2000],
            [0.0000, 0.2000],
            [0.0000, 0.2000]])
    """
    values = torch.from_numpy(levels.astype(np.float32) / np.float32(white))
    if values.dim() == 2:
        values = values[..., None].expand(-1, -1, 3)
    return values.permute(2, 0, 1)[None].contiguous()


def orientation_of(picture: Image.Image) -> int:
    """Return the EXIF orientation (1..8) of a picture; 1, upright, where it says nothing valid."""
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def turned(x: Tensor, orientation: int) -> Tensor:
    """Turn an image (..., H, W) upright that is stored in an EXIF orientation (1..8).

    >>> turned(torch.tensor([[1, 2], [3, 4]]), 6)  # turned by 90 degrees clockwise
    tensor([[3, 1],
            [4, 2]])
    """
    x = x.mT if orientation >= 5 else x
    flipped = [
        axis for axis, which in ((-2, (3, 4, 7, 8)), (-1, (2, 3, 6, 7))) if orientation in which
    ]
    return x.flip(flipped).contiguous()


def is_deep(picture: Image.Image) -> bool:
    """Say whether a picture has one channel of more than 8 bits."""
    return picture.mode[0] in "IF"


def deep_levels(path: Path, picture: Image.Image) -> np.ndarray:
    """Return the values (H, W) of a picture with more than 8 bits.

    Raises:
        InputError: if one is infinite or no number.
    """
    levels = np.array(picture, np.float32 if picture.mode == "F" else np.int64)
    if not np.isfinite(levels).all():
        raise InputError(
            f"{path} has values that are infinite or no numbers; replace them and save it again"
        )
    return levels


def _turned(known: Tensor | None, orientation: int) -> Tensor | None:
    return None if known is None else turned(known, orientation)


def _unlike_transparent(picture: Image.Image, levels: np.ndarray) -> Tensor | None:
    """Mask (1, 1, H, W) of what differs from the one value that a grey PNG declares transparent."""
    transparent = picture.info.get("transparency")
    if not isinstance(transparent, int) or (levels != transparent).all():
        return None
    return torch.from_numpy(levels != transparent)[None, None]


def _white_level(
    path: Path, levels: np.ndarray, white: float | None
) -> tuple[float, tuple[str, ...]]:
    """Return the value that is white, as given or guessed, and clauses about it."""
    largest, floats = float(levels.max()), levels.dtype.kind == "f"
    notes = ("values below 0 set to black",) if levels.min() < 0 else ()
    if white is not None:
        _check_white(path, levels, white)
        brighter = float((levels > white).mean())
        note = (f"{brighter:.1%} of the values cut off at white",) if brighter else ()
        return white, (*notes, *note)
    if floats and largest <= SLIGHTLY_ABOVE_1:
        note = ("values above 1 cut off",) if largest > 1 else ()
        return 1.0, (*notes, "read as floating-point values (white is 1)", *note)
    guess = next((level for level in WHITES if largest <= level), None)
    if guess is None or (floats and largest < WHITES[0] / 2):
        raise InputError(
            f"{path} has values up to {largest:g}, of which the white one cannot be guessed; "
            "say which it is"
        )
    kind = "floating-point" if floats else f"{guess.bit_length()}-bit"
    return float(guess), (*notes, f"read as {kind} values (white is {guess})")


def _check_white(path: Path, levels: np.ndarray, white: float) -> None:
    """Refuse a white level that would make the picture white or black."""
    if not (math.isfinite(white) and white > 0):
        raise InputError(f"white={white} is no level; give the value that is white in {path}")
    brighter, largest = float((levels > white).mean()), float(levels.max())
    if brighter > 0.5 or 0 < largest < DARKEST * white:
        raise InputError(
            f"white={white:g} would make most of {path} {'white' if brighter else 'black'}: "
            f"its values reach {largest:g}; give the one that is white"
        )
