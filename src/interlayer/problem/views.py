"""Photos in which an image appears as a turned square."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.media.faces import Square
from interlayer.problem.linear import MatrixFree
from interlayer.problem.resampling import BicubicDownsampling


class TurnedView(MatrixFree):
    r"""The pixels of a photo that shows an image as a turned square.

    The image is made as small as the square, with antialiasing, and interpolated (bicubic) at the
    photo's own pixels, so that these keep their noise and the blocks of their file. A pixel beyond
    the square has the value of its border.

    Args:
        img_size: shape (C, S, S) of the image.
        side: side of the piece of the photo in pixels.
        square: where the image lies in it, no larger than the image.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`.

    >>> x = torch.rand(1, 3, 8, 8)
    >>> quarter = TurnedView((3, 8, 8), 8, Square(4 + 4j, 4j))  # by 90 degrees
    >>> bool((quarter.A(x) - x.rot90(-1, (2, 3))).abs().max() < 1e-5)
    True
    """

    grid: Tensor

    def __init__(self, img_size: tuple[int, ...], side: int, square: Square, **kwargs) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        self.square = square
        self.reduced = BicubicDownsampling(img_size, max(1.0, img_size[-1] / square.side))
        v = _places(side, square)
        self.register_buffer("grid", torch.stack([v.real, v.imag], -1)[None])

    def _product(self, x: Tensor) -> Tensor:
        return self._seen_from(self.reduced.A(x))

    def _transposed_product(self, y: Tensor) -> Tensor:
        channels, small = y.shape[1], self.reduced.rows.shape[0]
        like = y.new_zeros(len(y), channels, small, small, requires_grad=True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self._seen_from(like), like, y)
        return self.reduced.A_adjoint(slope)

    def _seen_from(self, small: Tensor) -> Tensor:
        grid = self.grid.to(small).expand(len(small), -1, -1, -1)
        return F.grid_sample(small, grid, "bicubic", "border", align_corners=False)


def inside_of(side: int, square: Square, margin: float = 0.0) -> Tensor:
    """The pixels (1, 1, side, side) of a photo that are wholly in a square of it.

    Args:
        side: side of the photo in pixels.
        square: the square.
        margin: distance in pixels that they keep from its border.

    >>> [int(inside_of(8, Square(4 + 4j, 3j), margin).sum()) for margin in (0, 1)]
    [36, 16]
    """
    v = _places(side, square)
    reach = torch.maximum(v.real.abs(), v.imag.abs()) * abs(square.axis)
    return (reach <= abs(square.axis) - margin - 0.5 + 1e-6)[None, None]


def _places(side: int, square: Square) -> Tensor:
    """Where the pixels of a photo lie in a square of it, complex (side, side), edges at 1."""
    steps = torch.arange(side, dtype=torch.float64) + 0.5
    z = torch.complex(steps.expand(side, side), steps[:, None].expand(side, side))
    return ((z - square.centre) / square.axis).to(torch.complex64)
