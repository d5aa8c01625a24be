"""JPEG files as linear measurements: their coefficients, each as exact as its quantisation step."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.media.jpeg_tables import BLOCK, standard_tables
from interlayer.problem.linear import MatrixFree, replicate_transposed

_TO_YCC = torch.tensor(  # JFIF, full range; chroma without its offset
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
_LEVEL_STD = 12**-0.5  # of a number that is rounded, in steps


class Steps(NamedTuple):
    """Quantisation of a JPEG file.

    Attributes:
        luma: steps (8, 8) of the brightness, in 255ths, rows of vertical frequency.
        chroma: steps (8, 8) of the colours.
        coarser: factor (vertical, horizontal) by which the colours are coarser.
    """

    luma: Tensor
    chroma: Tensor
    coarser: tuple[int, int] = (1, 1)

    @classmethod
    def of_quality(cls, quality: int) -> Steps:
        """The standard steps of a libjpeg quality, colours at full resolution.

        >>> Steps.of_quality(50).luma[0, :3].tolist(), Steps.of_quality(90).luma[0, 0].item()
        ([16.0, 11.0, 10.0], 3.0)
        """
        return cls(*standard_tables(quality))

    def rescaled(self, factor: float) -> Steps:
        """Steps that suit the picture once it is ``factor`` < 1 times as large.

        A frequency of the smaller picture is a lower one of the file.
        """
        places = torch.linspace(-1, 1, BLOCK) * factor + (factor - 1)
        grid = torch.stack(torch.meshgrid(places, places, indexing="ij")[::-1], -1)[None]
        tables = torch.stack([self.luma, self.chroma])[None].float()
        luma, chroma = F.grid_sample(tables, grid, align_corners=True, padding_mode="border")[0]
        return Steps(luma, chroma)


class JPEGCoefficients(MatrixFree):
    r"""Cosine transform of 8x8 blocks of brightness and colours, in units of the file's steps.

    A JPEG file holds these numbers rounded, so that their errors are independent of each other and
    of one size, ``sigma``, which those of its pixels are not: ``y = c T x / q``, with the transform
    T of every block, its steps q and the mean c of the nine of lowest frequency, so that
    y has the units of the image. Blocks that are not wholly inside the picture measure nothing.

    Args:
        img_size: shape (3, H, W) of the image, or (1, H, W) of a grey one.
        steps: quantisation of the file.
        offset: rows and columns of the first block that lie above and left of the picture.
        doubt: standard deviation (1, 1, H, W) of what else is wrong with the pixels, which widens
            the steps of their blocks; ``None`` stands for nothing.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`.

    Reference: ISO 10918-1.

    >>> physics = JPEGCoefficients((3, 16, 16), Steps.of_quality(75))
    >>> x = torch.rand(1, 3, 16, 16)
    >>> bool((physics.decoded(physics.A(x)) - x).abs().max() < 1e-4)
    True
    """

    lattice: Tensor

    def __init__(
        self,
        img_size: tuple[int, ...],
        steps: Steps,
        offset: tuple[int, int] = (0, 0),
        doubt: Tensor | None = None,
        **kwargs,
    ) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        height, width = img_size[-2:]
        self.size, self.steps, self.offset = (height, width), steps, offset
        unit = [BLOCK * factor for factor in steps.coarser]
        above, left = offset[0] % unit[0], offset[1] % unit[1]
        below, right = -(above + height) % unit[0], -(left + width) % unit[1]
        self.pads = (left, right, above, below)
        self.scale = steps.luma[:3, :3].mean().item() / 255
        self.sigma = self.scale * _LEVEL_STD
        inside = F.pad(torch.ones(1, 1, height, width), self.pads)
        doubt = torch.zeros_like(inside) if doubt is None else F.pad(doubt.square(), self.pads)
        colours = [F.avg_pool2d(inside, steps.coarser)] * 2 if img_size[0] == 3 else []
        planes = [inside, *colours]
        whole = [(F.avg_pool2d(plane, BLOCK) == 1).float() for plane in planes]
        tables = (steps.luma, steps.chroma, steps.chroma)
        doubts = [F.adaptive_avg_pool2d(doubt, blocks.shape[-2:]) for blocks in whole]
        weights = [
            self.scale * 255 * _tiled(blocks, torch.ones(BLOCK, BLOCK)) / _widened(table, extra)
            for blocks, table, extra in zip(whole, tables, doubts, strict=False)
        ]
        self.register_buffer("lattice", torch.cat([w.flatten(1) for w in weights], 1))
        self.shapes = [tuple(w.shape[-2:]) for w in weights]

    def _product(self, x: Tensor) -> Tensor:
        if x.shape[1] == 3:
            x = torch.einsum("ij,bjhw->bihw", _TO_YCC.to(x), x)
        x = F.pad(x, self.pads, mode="replicate")
        planes = [x[:, :1], *self._coarse(x[:, 1:]).split(1, dim=1)] if x.shape[1] == 3 else [x]
        blocks = [_by_blocks(plane, _cosines(x)).flatten(1) for plane in planes]
        return torch.cat(blocks, 1) * self.lattice.to(x)

    def _transposed_product(self, y: Tensor) -> Tensor:
        luma, *chroma = self._planes(y * self.lattice.to(y))
        if not chroma:
            return replicate_transposed(luma, self.pads)
        fine = self._coarse_transposed(torch.cat(chroma, 1))
        ycc = replicate_transposed(torch.cat([luma, fine], 1), self.pads)
        return torch.einsum("ji,bjhw->bihw", _TO_YCC.to(y), ycc)

    def decoded(self, y: Tensor, weight: Tensor | None = None) -> Tensor:
        """The picture (B, C, H, W) that coefficients stand for.

        Args:
            y: coefficients (B, m).
            weight: mask, 1 for those that may be used; others count as 0, but the mean of a block
                as that of its neighbours.
        """
        lattice = self.lattice.to(y)
        used = (lattice > 0).expand_as(y) if weight is None else (lattice > 0) & (weight > 0)
        values = torch.where(used, y / lattice.clamp_min(1e-12), 0)
        luma, *chroma = self._planes(self._with_means(values, used))
        left, _, above, _ = self.pads
        rows, columns = (slice(a, a + n) for a, n in zip((above, left), self.size, strict=True))
        if not chroma:
            return luma[..., rows, columns]
        fine = F.interpolate(torch.cat(chroma, 1), luma.shape[-2:], mode="bilinear")
        ycc = torch.cat([luma, fine], 1)[..., rows, columns]
        return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(_TO_YCC).to(y), ycc)

    def _with_means(self, values: Tensor, used: Tensor) -> Tensor:
        """Coefficients in which the mean of a block, where it is missing, is its neighbours'."""
        sizes = [math.prod(shape) for shape in self.shapes]
        completed = list[Tensor]()
        for part, kept, shape in zip(
            values.split(sizes, 1), used.split(sizes, 1), self.shapes, strict=True
        ):
            plane = part.reshape(-1, 1, *shape).clone()
            means = plane[..., ::BLOCK, ::BLOCK]
            known = kept.expand_as(part).reshape(-1, 1, *shape)[..., ::BLOCK, ::BLOCK]
            means.copy_(_neighbours(means, known))
            completed.append(plane.flatten(1))
        return torch.cat(completed, 1)

    def _planes(self, y: Tensor) -> list[Tensor]:
        """The three planes (B, 1, h, w) of pixels whose coefficients are given."""
        parts = y.split([math.prod(shape) for shape in self.shapes], dim=1)
        inverse = _cosines(y).mT.contiguous()
        return [
            _by_blocks(part.reshape(-1, 1, *shape), inverse)
            for part, shape in zip(parts, self.shapes, strict=True)
        ]

    def _coarse(self, chroma: Tensor) -> Tensor:
        coarser = self.steps.coarser
        return chroma if coarser == (1, 1) else F.avg_pool2d(chroma, coarser)

    def _coarse_transposed(self, chroma: Tensor) -> Tensor:
        down, across = self.steps.coarser
        return chroma.repeat_interleave(down, -2).repeat_interleave(across, -1) / (down * across)


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal cosine transform (8, 8), a row for each frequency."""
    k = torch.arange(BLOCK, dtype=torch.float64)
    matrix = torch.cos(torch.pi / BLOCK * k[:, None] * (k + 0.5)) * (2 / BLOCK) ** 0.5
    matrix[0] /= 2**0.5
    return matrix.to(like)


def _by_blocks(plane: Tensor, matrix: Tensor) -> Tensor:
    """``M X Mᵀ`` for every 8x8 block X of planes (B, 1, H, W)."""
    rows = plane.unflatten(-1, (-1, BLOCK)) @ matrix.mT
    columns = rows.flatten(-2).mT.contiguous().unflatten(-1, (-1, BLOCK)) @ matrix.mT
    return columns.flatten(-2).mT.contiguous()


def _tiled(blocks: Tensor, table: Tensor) -> Tensor:
    """A table (8, 8) at every block, times the block's own number (1, 1, h, w)."""
    return torch.kron(blocks[0, 0], table)[None, None]


def _widened(table: Tensor, doubt: Tensor) -> Tensor:
    """Steps of every block, in 255ths, that allow for errors of variance ``doubt`` besides."""
    squares = _tiled(torch.ones_like(doubt), table.square())
    return (squares + _tiled(12 * 255**2 * doubt, torch.ones_like(table))).sqrt()


def _neighbours(values: Tensor, known: Tensor) -> Tensor:
    """Values (B, 1, h, w), those not known being the mean of the known ones around them."""
    while not known.all() and known.any():
        weight = F.avg_pool2d(known.to(values), 3, stride=1, padding=1)
        sums = F.avg_pool2d(torch.where(known, values, 0), 3, stride=1, padding=1)
        values = torch.where(known, values, sums / weight.clamp_min(1e-12))
        known = known | (weight > 0)
    return values


def believed(steps: Steps, picture: Tensor, offset: tuple[int, int] = (0, 0)) -> Steps:
    r"""Steps of numbers that err as much, at each frequency, as those of a file truly do.

    A number rounded to 0 errs less than others: by itself. With numbers that follow Laplace's
    distribution of scale b, a share ``f = exp(-q / 2b)`` is not rounded to 0; those err by
    ``q / √12``, the others by the spread of the distribution within ± q/2.

    Args:
        steps: quantisation of the file.
        picture: the decoded file (1, C, H, W).
        offset: rows and columns of the first block above and left of it.
    """
    physics = JPEGCoefficients(tuple(picture.shape[1:]), steps, offset)
    numbers = (physics.A(picture) / physics.scale).split(
        [math.prod(shape) for shape in physics.shapes], 1
    )
    tables = (steps.luma, steps.chroma, steps.chroma)
    found = list[Tensor]()
    for part, table, shape in zip(numbers, tables, physics.shapes, strict=False):
        blocks = part.reshape(shape[0] // BLOCK, BLOCK, shape[1] // BLOCK, BLOCK)
        live = (blocks.abs() >= 0.5).float().mean((0, 2))
        count = blocks.shape[0] * blocks.shape[2]
        share = live.clamp(0.5 / count, 0.99)
        a = -share.log()  # half a step in units of b
        within = 2 - (a.square() + 2 * a) * share / (1 - share)  # variance over b², truncated
        variance = share / 12 + (1 - share) * within.clamp_min(0) / (4 * a.square())
        found.append(table * (12 * variance).sqrt().clamp(max=1))
    chroma = torch.stack(found[1:]).square().mean(0).sqrt() if found[1:] else steps.chroma
    return Steps(found[0], chroma, steps.coarser)
