"""Photos in which an image appears as a turned square."""

from __future__ import annotations

import torch
from torch import Tensor

from interlayer.media.faces import Square
from interlayer.problem.linear import MatrixFree
from interlayer.problem.resampling import BicubicDownsampling, SparseMap


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

    def __init__(self, img_size: tuple[int, ...], side: int, square: Square, **kwargs) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        self.square, self.side = square, side
        self.reduced = BicubicDownsampling(img_size, max(1.0, img_size[-1] / square.side))
        small = max(1, round(img_size[-1] / max(1.0, img_size[-1] / square.side)))
        at = (_places(side, square) + (1 + 1j)) * (small / 2) - (0.5 + 0.5j)
        self.sampled = SparseMap(_bicubic_samples(at.flatten(), small))
        self.small = small

    def _product(self, x: Tensor) -> Tensor:
        samples = self.sampled(self.reduced.A(x).flatten(2)[..., None])
        return samples.reshape(*x.shape[:2], self.side, self.side)

    def _transposed_product(self, y: Tensor) -> Tensor:
        small = self.sampled.transposed(y.flatten(2)[..., None])
        return self.reduced.A_adjoint(small.reshape(*y.shape[:2], self.small, self.small))


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


def _bicubic_samples(at: Tensor, side: int) -> Tensor:
    """The matrix (n, side²) that interpolates a picture at complex places (n,) in its pixels.

    Keys' kernel with a = -3/4, as PyTorch's; beyond the picture its border goes on.
    """
    offsets = torch.arange(-1, 3)
    taps = []
    for along in (at.real, at.imag):
        first = along.floor()
        taps.append(((first[:, None] + offsets).clamp(0, side - 1).long(), _keys(along - first)))
    (columns, across), (rows, down) = taps
    places = (rows[:, :, None] * side + columns[:, None]).flatten(1)
    weights = (down[:, :, None] * across[:, None]).flatten(1)
    numbers = torch.arange(len(at))[:, None].expand_as(places)
    indices = torch.stack([numbers.flatten(), places.flatten()])
    shape = (len(at), side * side)
    return torch.sparse_coo_tensor(indices, weights.flatten(), shape, check_invariants=False)


def _keys(t: Tensor, a: float = -0.75) -> Tensor:
    """Weights (n, 4) of the samples at -1, 0, 1 and 2 for points at t (n,) in [0, 1)."""

    def near(s: Tensor) -> Tensor:
        return ((a + 2) * s - (a + 3)) * s * s + 1

    def far(s: Tensor) -> Tensor:
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

    return torch.stack([far(t + 1), near(t), near(1 - t), far(2 - t)], 1)


def _places(side: int, square: Square) -> Tensor:
    """Where the pixels of a photo lie in a square of it, complex (side, side), edges at 1."""
    steps = torch.arange(side, dtype=torch.float64) + 0.5
    z = torch.complex(steps.expand(side, side), steps[:, None].expand(side, side))
    return ((z - square.centre) / square.axis).to(torch.complex64)
