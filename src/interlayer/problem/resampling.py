"""Downsampling operators for superresolution, all fast at full resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from deepinv.physics import LinearPhysics
from torch import Tensor


class BicubicDownsampling(LinearPhysics):
    r"""Bicubic downsampling with antialiasing as two small matrix products.

    ``A x = R x Rᵀ`` for each channel, R (H/K, H) being the resampling matrix of PyTorch's (and
    Pillow's) antialiased bicubic filter. deepinv's own operator convolves at full resolution,
    which takes seconds a step at K = 16 on a 1024x1024 image.

    Args:
        img_size: shape (C, H, W) of the image.
        factor: factor K, at least 1; the small sides are H/K and W/K, rounded.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`.

    Raises:
        ValueError: if ``factor`` is below 1.

    >>> BicubicDownsampling((3, 16, 16), factor=4)(torch.ones(1, 3, 16, 16)).shape
    torch.Size([1, 3, 4, 4])
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, img_size: tuple[int, ...], factor: float, **kwargs) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        if factor < 1:
            raise ValueError(f"an image gets smaller by a factor of at least 1, not {factor}")
        height, width = img_size[-2:]
        self.register_buffer("rows", _bicubic_matrix(height, factor))
        self.register_buffer("columns", _bicubic_matrix(width, factor))

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Small images (B, C, H/K, W/K), sides rounded."""
        return self.rows.to(x.dtype) @ x @ self.columns.to(x.dtype).mT

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W)."""
        return self.rows.to(y.dtype).mT @ y @ self.columns.to(y.dtype)


class BlockAverage(LinearPhysics):
    r"""The mean of each K x K block of pixels: ``A Aᵀ = I / K²``.

    Args:
        img_size: shape (C, H, W) of the image.
        factor: factor K, which divides H and W.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`.

    Raises:
        ValueError: if ``factor`` does not divide the size.

    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> BlockAverage((1, 4, 4), factor=2)(x).flatten().tolist()
    [2.5, 4.5, 10.5, 12.5]
    """

    def __init__(self, img_size: tuple[int, ...], factor: int, **kwargs) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        _divisible(img_size, factor)
        self.factor = factor

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Small images (B, C, H/K, W/K)."""
        return F.avg_pool2d(x, self.factor)

    def A_adjoint(self, y: Tensor, **kwargs) -> Tensor:
        """The transpose: images (B, C, H, W)."""
        return F.interpolate(y / self.factor**2, scale_factor=self.factor, mode="nearest")


def _divisible(img_size: tuple[int, ...], factor: int) -> tuple[int, int]:
    """Height and width, which the factor has to divide."""
    height, width = img_size[-2:]
    if factor < 1 or height % factor or width % factor:
        raise ValueError(f"{factor} does not divide the image size {height}x{width}")
    return height, width


def _bicubic_matrix(size: int, factor: float) -> Tensor:
    """The matrix (size / factor, size) that shrinks a signal of ``size`` samples."""
    identity = torch.eye(size)[None, None]
    shape = (max(1, round(size / factor)), size)
    return F.interpolate(identity, shape, mode="bicubic", antialias=True, align_corners=False)[0, 0]
