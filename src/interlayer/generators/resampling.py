"""Resampling of activations by separable filters, as products with banded matrices.

Zero insertion, a filter and a decimation along one axis are one matrix, whose rows hold a few
numbers side by side. In tiles of rows, each of which reads a few columns, it is a product that runs
at the machine's speed, forwards and backwards, where a filter of a dozen numbers for each channel
waits for memory. Activations in channels-last order are rows of it as they lie.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 64


def upsampling(size: int, line: Tensor, factor: int, padding: tuple[int, int]) -> Tensor:
    """The matrix that inserts zeros, pads and filters, (outputs, size).

    Args:
        size: number of values that come in.
        line: filter (taps,), of which the gain is restored: times ``factor``.
        factor: number of places that each value takes.
        padding: zeros before and behind, or values left out where negative.

    >>> upsampling(3, torch.tensor([0.5, 0.5]), 2, (1, 0))
    tensor([[1., 0., 0.],
            [1., 0., 0.],
            [0., 1., 0.],
            [0., 1., 0.],
            [0., 0., 1.],
            [0., 0., 1.]])
    """
    spread = torch.zeros(size, size * factor)
    spread[torch.arange(size), factor * torch.arange(size)] = 1
    padded = F.pad(spread, padding)
    return F.conv1d(padded[:, None], line.flip(0)[None, None] * factor)[:, 0].T


def downsampling(size: int, line: Tensor, factor: int) -> Tensor:
    """The matrix that filters and keeps every ``factor``-th value, (outputs, size).

    >>> downsampling(4, torch.tensor([0.5, 0.5]), 2)
    tensor([[0.5000, 0.5000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.5000]])
    """
    return F.conv1d(torch.eye(size)[:, None], line.flip(0)[None, None], stride=factor)[:, 0].T


class Banded:
    """A matrix whose rows hold a few numbers side by side, for both axes of activations.

    Args:
        matrix: the matrix (outputs, inputs).
        like: tensor of the type and on the device that activations have.
    """

    def __init__(self, matrix: Tensor, like: Tensor) -> None:
        self.forwards = _tiles(matrix, like)
        self.backwards = _tiles(matrix.T, like)

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply both axes: (B, C, inputs, inputs) -> (B, C, outputs, outputs)."""
        return _Both.apply(x, self)


class _Both(torch.autograd.Function):
    """The product of both axes; its gradient is that of the transposed matrix."""

    @staticmethod
    def forward(ctx, x: Tensor, banded: Banded) -> Tensor:
        ctx.banded = banded
        return _multiply(x, banded.forwards)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        return _multiply(grads[0], ctx.banded.backwards), None


def _multiply(x: Tensor, tiles: list[tuple[int, int, Tensor]]) -> Tensor:
    rows = x.permute(0, 2, 3, 1).contiguous()  # nothing is copied in channels-last order
    taller = sum(len(block) for _, _, block in tiles) > rows.shape[1]
    for axis in (2, 1) if taller else (1, 2):  # the longer axis last
        rows = _along(rows, axis, tiles)
    return rows.permute(0, 3, 1, 2)


def _along(rows: Tensor, axis: int, tiles: list[tuple[int, int, Tensor]]) -> Tensor:
    """Multiply an axis of activations (B, H, W, C) by tiles of a matrix."""
    batch, height, width, channels = rows.shape
    if axis == 1:
        flat = rows.reshape(batch, height, width * channels)
        parts = [block @ flat[:, a:b] for a, b, block in tiles]
        return torch.cat(parts, 1).reshape(batch, -1, width, channels)
    flat = rows.reshape(batch * height, width, channels)
    parts = [block @ flat[:, a:b] for a, b, block in tiles]
    return torch.cat(parts, 1).reshape(batch, height, -1, channels)


def _tiles(matrix: Tensor, like: Tensor) -> list[tuple[int, int, Tensor]]:
    """Blocks of rows with the first and last column that they need."""
    tiles: list[tuple[int, int, Tensor]] = []
    for block in matrix.split(TILE):
        used = block.abs().sum(0).nonzero().flatten().tolist() or [0]
        first, last = used[0], used[-1] + 1
        tiles.append((first, last, block[:, first:last].to(like).contiguous()))
    return tiles
