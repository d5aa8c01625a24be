"""What a JPEG file says about its compression: quantisation steps and how coarse colours are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image, JpegImagePlugin
from torch import Tensor

BLOCK = 8
SUBSAMPLINGS = ((1, 1), (2, 2), (1, 2), (2, 1))
# Tables K.1 and K.2 of the JPEG standard, of which libjpeg makes those of every quality.
STANDARD_LUMA = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
STANDARD_CHROMA = torch.full((BLOCK, BLOCK), 99)
STANDARD_CHROMA[:4, :4] = torch.tensor(
    [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
)


@dataclass(frozen=True, eq=False)
class JpegTables:
    """Compression of a JPEG file, in the direction in which its photo is seen.

    Attributes:
        luma: quantisation steps (8, 8) of the brightness, for values in [0, 255]; rows are vertical
            frequencies, columns horizontal ones.
        chroma: those of both colours; None for a grey file.
        subsampling: factors, vertical and horizontal, by which colours are coarser.
    """

    luma: Tensor
    chroma: Tensor | None
    subsampling: tuple[int, int]

    @property
    def quality(self) -> int | None:
        """Quality 1..100 of libjpeg with exactly these tables, upright or transposed, or None."""
        nearest = self.nearest_quality
        return nearest if self._distance(nearest) == 0 else None

    @property
    def nearest_quality(self) -> int:
        """Quality 1..100 of libjpeg whose tables are nearest, by the logarithms of the steps."""
        return min(range(1, 101), key=self._distance)

    def turned(self, orientation: int) -> JpegTables:
        """Return the tables of the photo after its EXIF orientation (1..8) is undone."""
        if orientation < 5:
            return self
        chroma = None if self.chroma is None else self.chroma.T
        down, across = self.subsampling
        return JpegTables(self.luma.T, chroma, (across, down))

    def _distance(self, quality: int) -> float:
        luma, chroma = standard_tables(quality)
        pairs = [(self.luma, luma), *([] if self.chroma is None else [(self.chroma, chroma)])]
        return min(
            sum(float((mine.log() - its.log()).abs().sum()) for mine, its in turn)
            for turn in (pairs, [(mine.T, its) for mine, its in pairs])
        )


def standard_tables(quality: int) -> tuple[Tensor, Tensor]:
    """Return the tables (8, 8) of libjpeg for the brightness and for colours.

    With ``s = floor(5000 / quality)`` below quality 50 and ``s = 200 - 2 quality`` from there, a
    step ``q`` of the standard (ITU-T T.81, annex K) becomes ``floor((q s + 50) / 100)`` in
    [1, 255].

    Args:
        quality: quality from 1 to 100.

    >>> [int(table[0, 0]) for table in standard_tables(75)]
    [8, 9]
    """
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (
        ((table * scale + 50) // 100).clamp(1, 255).float()
        for table in (STANDARD_LUMA, STANDARD_CHROMA)
    )
    return luma, chroma


def read_tables(picture: Image.Image, orientation: int) -> JpegTables | None:
    """Read the compression of a decoded JPEG file, as it is after the EXIF orientation is undone.

    None where the file is no JPEG file, holds other colours than YCbCr or grey, or has its blocks
    off the upper left corner once it is upright.
    """
    if not isinstance(picture, JpegImagePlugin.JpegImageFile):
        return None
    try:
        tables = [_steps(picture.quantization[layer[3]]) for layer in picture.layer]
    except KeyError:  # a table that decoders do not need is missing
        return None
    if len(tables) == 1:
        made = JpegTables(tables[0], None, (1, 1))
    elif len(tables) == 3 and not _is_rgb(picture) and torch.equal(tables[1], tables[2]):
        (_, across, down, _), (_, *blue, _), (_, *red, _) = picture.layer
        made = JpegTables(tables[0], tables[1], (down // blue[1], across // blue[0]))
        if blue != red or made.subsampling not in SUBSAMPLINGS:
            return None
    else:
        return None
    made = made.turned(orientation)
    width, height = picture.size if orientation < 5 else picture.size[::-1]
    mirrored = (
        (height, made.subsampling[0], orientation in (3, 4, 7, 8)),
        (width, made.subsampling[1], orientation in (2, 3, 6, 7)),
    )
    return None if any(flip and side % (BLOCK * k) for side, k, flip in mirrored) else made


def _steps(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(BLOCK, BLOCK).clamp(min=1)


def _is_rgb(picture: JpegImagePlugin.JpegImageFile) -> bool:
    names = bytes(layer[0] for layer in picture.layer)
    return picture.info.get("adobe_transform") == 0 or names == b"RGB"
