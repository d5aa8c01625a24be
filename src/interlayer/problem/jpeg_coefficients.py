"""JPEG files as linear measurements: their coefficients, each as exact as its quantisation step."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.media.jpeg_tables import BLOCK, standard_tables
from interlayer.problem.linear import MatrixFree, replicate_transposed

_TO_YCC = torch.tensor(  # JFIF, full range; chroma without its offset
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
_ROUNDED = 12**-0.5  # standard deviation of what rounding does, in steps


class Steps(NamedTuple):
    """Quantisation of a JPEG file.

    Attributes:
        luma: steps (8, 8) of the brightness, in 255ths; rows are vertical frequencies.
        chroma: steps (8, 8) of the colours.
    """

    luma: Tensor
    chroma: Tensor

    @classmethod
    def of_quality(cls, quality: int) -> Steps:
        """The standard steps of a libjpeg quality.

        >>> Steps.of_quality(50).luma[0, :3].tolist()
        [16.0, 11.0, 10.0]
        """
        return cls(*standard_tables(quality))

    def subsampled(self, down: int, across: int) -> Steps:
        """Steps of colours stored at half the resolution, as they are at that of the picture.

        A frequency of the picture is one twice as high of the file, whose error is spread over
        fewer numbers; frequencies that the file lacks err like its highest.

        Args:
            down: factor, 1 or 2, by which there are fewer rows of colours.
            across: factor by which there are fewer columns.
        """
        rows, columns = ((torch.arange(BLOCK) * k).clamp(max=BLOCK - 1) for k in (down, across))
        spread = (down * across) ** 0.5
        return Steps(self.luma, spread * self.chroma[rows][:, columns])

    def rescaled(self, factor: float) -> Steps:
        """Steps that suit the picture once it is ``factor`` < 1 times as large.

        A frequency of the smaller picture is a lower one of the file.
        """
        places = (torch.linspace(-1, 1, BLOCK) + 1) * factor - 1
        grid = torch.stack(torch.meshgrid(places, places, indexing="xy"), -1)[None]
        tables = torch.stack([self.luma, self.chroma])[None].float()
        luma, chroma = F.grid_sample(tables, grid, align_corners=True)[0]
        return Steps(luma, chroma)

    @property
    def pixel_sigma(self) -> float:
        """The standard deviation of what they do to the pixels of a picture, in units of white.

        >>> round(255 * Steps.of_quality(90).pixel_sigma, 1)
        4.8
        """
        luma, chroma = (table.square().mean().item() for table in self)
        return ((luma + 2 * chroma) / 3) ** 0.5 * _ROUNDED / 255

    def widened(self, sigma: float) -> Steps:
        """Steps of coefficients that also carry white noise of standard deviation ``sigma``."""
        extra = (255 * sigma / _ROUNDED) ** 2
        return Steps(*((table.square() + extra).sqrt() for table in self))


class JPEGCoefficients(MatrixFree):
    r"""Cosine transform of 8x8 blocks of brightness and colours, in units of the file's steps.

    A JPEG file holds these numbers rounded, so that their errors are independent of each other and
    of one size, `sigma`, which those of its pixels are not: ``y = c T x / q``, with the orthonormal
    transform T of every block, its steps q, and for c the mean of the nine of lowest frequency, so
    that y has the units of the image. Colours that the file stores at half the resolution are taken
    as they are decoded, see `Steps.subsampled`.

    Of a block that is cut off or not wholly seen the numbers cannot be had, so that its pixels are
    measured, ``y = c x / r``, with r the root mean square of q, which errs as much.

    Args:
        img_size: shape (3, H, W) of the image, or (1, H, W) of a grey one.
        steps: quantisation of the file.
        offset: rows and columns of the file above and left of the picture.
        doubt: standard deviation (1, 1, H, W) of what else is wrong with the pixels, which widens
            the steps of their blocks; ``None`` stands for nothing.
        seen: mask (1, 1, H, W) of the pixels that were seen; ``None`` stands for all.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`.

    Reference: ITU-T T.81; JFIF for the colours.

    >>> physics = JPEGCoefficients((3, 16, 16), Steps.of_quality(75))
    >>> x = torch.rand(1, 3, 16, 16)
    >>> bool((physics.decoded(physics.A(x)) - x).abs().max() < 1e-4)
    True
    """

    lattice: Tensor
    whole: Tensor

    def __init__(
        self,
        img_size: tuple[int, ...],
        steps: Steps,
        offset: tuple[int, int] = (0, 0),
        doubt: Tensor | None = None,
        seen: Tensor | None = None,
        **kwargs,
    ) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        channels, height, width = img_size
        above, left = (place % BLOCK for place in offset)
        self.pads = (left, -(left + width) % BLOCK, above, -(above + height) % BLOCK)
        self.scale = steps.luma[:3, :3].mean().item() / 255
        seen = torch.ones(1, 1, height, width) if seen is None else seen.float()
        inside = F.pad(seen, self.pads)
        doubt = torch.zeros(1, 1, height, width) if doubt is None else doubt
        extra = F.avg_pool2d(F.pad((255 / _ROUNDED * doubt).square(), self.pads), BLOCK)
        whole = _tiled(F.avg_pool2d(inside, BLOCK), torch.ones(BLOCK, BLOCK)) == 1
        tables = (steps.luma, steps.chroma, steps.chroma)[:channels]
        squares = torch.cat([_widened(table.square(), extra) for table in tables], 1)
        means = F.interpolate(F.avg_pool2d(squares, BLOCK), scale_factor=BLOCK)
        steps_used = torch.where(whole, squares, means).sqrt()
        self.register_buffer("whole", whole)
        self.register_buffer("lattice", 255 * self.scale * inside / steps_used)

    @property
    def sigma(self) -> float:
        """The standard deviation of the errors of y."""
        return self.scale * _ROUNDED

    def _product(self, x: Tensor) -> Tensor:
        planes = _turned(x, _TO_YCC) if x.shape[1] == 3 else x
        planes = F.pad(planes, self.pads, mode="replicate")
        whole = self.whole.to(x.device)
        return torch.where(whole, _by_blocks(planes, _cosines(x)), planes) * self.lattice.to(x)

    def _transposed_product(self, y: Tensor) -> Tensor:
        coefficients = y * self.lattice.to(y)
        planes = replicate_transposed(self._pixels(coefficients), self.pads)
        return _turned(planes, _TO_YCC.mT) if planes.shape[1] == 3 else planes

    def shown(self, weight: Tensor) -> Tensor:
        """Mask (B, 1, H, W) of the pixels that `decoded` shows with the same weight."""
        live = (self.lattice[:, :1] > 0).to(weight.device)
        return self._inside(live & (self.whole.to(weight.device) | (weight[:, :1] > 0)))

    def decoded(self, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """The picture (B, C, H, W) that coefficients stand for.

        Args:
            y: coefficients (B, C, H, W).
            weight: mask (B, 1, h, w), 1 for those that may be used; others count as 0, but the mean
                of a block as that of its neighbours.
        """
        lattice = self.lattice.to(y)
        used = (lattice > 0).expand_as(y)
        used = used if weight is None else used & (weight > 0)
        values = torch.where(used, y / lattice.clamp_min(1e-12), 0)
        means = values[..., ::BLOCK, ::BLOCK]
        whole = self.whole.to(y.device)[..., ::BLOCK, ::BLOCK]
        means.copy_(torch.where(whole, _spread(means, used[..., ::BLOCK, ::BLOCK] & whole), means))
        planes = self._inside(self._pixels(values))
        return _turned(planes, torch.linalg.inv(_TO_YCC)) if planes.shape[1] == 3 else planes

    def _pixels(self, values: Tensor) -> Tensor:
        """Planes of pixels (B, C, h, w) from numbers, of which those of whole blocks are turned."""
        whole = self.whole.to(values.device)
        return torch.where(whole, _by_blocks(values, _cosines(values).mT), values)

    def _inside(self, planes: Tensor) -> Tensor:
        """What of planes (B, C, h, w) lies inside the picture, (B, C, H, W)."""
        return F.pad(planes, [-pad for pad in self.pads])


def believed(
    steps: Steps, picture: Tensor, offset: tuple[int, int] = (0, 0), seen: Tensor | None = None
) -> Steps:
    r"""Steps of numbers that err as much, at each frequency, as those of a file truly do.

    A number that was rounded to 0 errs less than others: by itself. With numbers that follow
    Laplace's distribution of scale b, a share ``f = exp(-q / 2b)`` is not rounded to 0; those err
    by ``q / √12``, the others by the spread of the distribution within ± q/2.

    Args:
        steps: quantisation q of the file.
        picture: the decoded file (1, C, H, W).
        offset: rows and columns of the file above and left of it.
        seen: mask (1, 1, H, W) of the pixels that count; ``None`` stands for all.
    """
    physics = JPEGCoefficients(tuple(picture.shape[1:]), steps, offset, seen=seen)
    whole = physics.whole[0, 0, ::BLOCK, ::BLOCK]
    if not whole.any():
        return steps
    numbers = physics.A(picture)[0] / physics.scale
    blocks = numbers.unflatten(-1, (-1, BLOCK)).unflatten(-3, (-1, BLOCK))  # C, rows, 8, columns, 8
    blocks = blocks.transpose(2, 3)[:, whole]
    live = (blocks.abs() >= 0.5).float().mean(1).clamp(0.5 / len(blocks[0]), 0.99)
    half = -live.log()  # of a step, in units of b
    within = 2 - (half.square() + 2 * half) * live / (1 - live)  # the variance there, over b²
    variance = live / 12 + (1 - live) * within.clamp_min(0) / (4 * half.square())
    widths = (12 * variance).sqrt().clamp(max=1)
    chroma = widths[1:].square().mean(0).sqrt() if len(widths) == 3 else widths[0]
    return Steps(steps.luma * widths[0], steps.chroma * chroma)


def _turned(x: Tensor, matrix: Tensor) -> Tensor:
    """Images (B, 3, H, W) with a matrix (3, 3) applied to the colours of each pixel."""
    return torch.einsum("ij,bjhw->bihw", matrix.to(x), x)


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal cosine transform (8, 8), a row for each frequency."""
    k = torch.arange(BLOCK, dtype=torch.float64)
    matrix = torch.cos(torch.pi / BLOCK * k[:, None] * (k + 0.5)) * (2 / BLOCK) ** 0.5
    matrix[0] /= 2**0.5
    return matrix.to(like)


def _by_blocks(planes: Tensor, matrix: Tensor) -> Tensor:
    """``M X Mᵀ`` for every 8x8 block X of planes (B, C, H, W)."""
    rows = (planes.unflatten(-1, (-1, BLOCK)) @ matrix.mT).flatten(-2)
    columns = rows.mT.contiguous().unflatten(-1, (-1, BLOCK)) @ matrix.mT
    return columns.flatten(-2).mT.contiguous()


def _tiled(blocks: Tensor, table: Tensor) -> Tensor:
    """A table (8, 8) at every block, times the block's own number (1, 1, h, w)."""
    return torch.kron(blocks[0, 0], table.contiguous())[None, None]


def _spread(values: Tensor, known: Tensor) -> Tensor:
    """Values (B, C, h, w) in which those not known are the mean of the known ones around them."""
    while not known.all() and known.any():
        weight = F.avg_pool2d(known.to(values), 3, stride=1, padding=1)
        sums = F.avg_pool2d(torch.where(known, values, 0), 3, stride=1, padding=1)
        values = torch.where(known, values, sums / weight.clamp_min(1e-12))
        known = known | (weight > 0)
    return values


def _widened(squares: Tensor, extra: Tensor) -> Tensor:
    """Squares (8, 8) of steps at every block, larger by the block's ``extra`` (1, 1, h, w)."""
    everywhere = _tiled(torch.ones_like(extra), squares)
    return everywhere + _tiled(extra, torch.ones_like(squares))
