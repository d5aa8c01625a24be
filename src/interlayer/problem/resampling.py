"""Downsampling operators for superresolution, all fast at full resolution."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from deepinv.physics import LinearPhysics
from torch import Tensor

from interlayer.problem.linear import MatrixFree

MOST_REDUCED = 4  # factor up to which a sparse product is quicker than a dense one


class BicubicDownsampling(MatrixFree):
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

    def __init__(self, img_size: tuple[int, ...], factor: float, **kwargs) -> None:
        super().__init__(img_size=tuple(img_size), **kwargs)
        if factor < 1:
            raise ValueError(f"an image gets smaller by a factor of at least 1, not {factor}")
        height, width = img_size[-2:]
        self.rows = _map_of(_bicubic_matrix(height, factor))
        self.columns = _map_of(_bicubic_matrix(width, factor))

    def _product(self, x: Tensor) -> Tensor:
        """Small images (B, C, H/K, W/K)."""
        return self.columns(self.rows(x).mT).mT

    def _transposed_product(self, y: Tensor) -> Tensor:
        return self.rows.transposed(self.columns.transposed(y.mT).mT)


class BicubicEnlargement(MatrixFree):
    r"""Bicubic enlargement as two small matrix products, and its transpose.

    Args:
        img_size: shape (C, H, W) of the large image.
        factor: factor K, at least 1; the small sides are H/K and W/K, rounded.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`.

    >>> enlarge = BicubicEnlargement((1, 16, 16), factor=4)
    >>> x = torch.full((1, 1, 16, 16), 0.5)
    >>> enlarge.small(x).shape
    torch.Size([1, 1, 4, 4])
    >>> bool((enlarge(enlarge.small(x)) - x).abs().max() < 1e-6)
    True
    """

    def __init__(self, img_size: tuple[int, ...], factor: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.small = BicubicDownsampling(img_size, factor)
        height, width = img_size[-2:]
        self.rows = DenseMap(_enlarging_matrix(height, factor))
        self.columns = DenseMap(_enlarging_matrix(width, factor))

    def _product(self, x: Tensor) -> Tensor:
        """Large images (B, C, H, W)."""
        return self.columns(self.rows(x).mT).mT

    def _transposed_product(self, y: Tensor) -> Tensor:
        return self.rows.transposed(self.columns.transposed(y.mT).mT)


class DenseMap(torch.nn.Module):
    """A matrix (m, n) as a map of the rows of images."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix)

    def forward(self, x: Tensor) -> Tensor:
        """The product with every column of images (B, C, n, W), as (B, C, m, W)."""
        return self.matrix.to(x.dtype) @ x

    def transposed(self, y: Tensor) -> Tensor:
        """The product of the transpose with images (B, C, m, W), as (B, C, n, W)."""
        return self.matrix.to(y.dtype).mT @ y


class SparseMap(torch.nn.Module):
    """A sparse matrix and its transpose, as maps of the rows of images.

    Args:
        matrix: matrix (m, n) as a sparse COO tensor; entries at the same place add up.

    >>> shift = SparseMap(torch.tensor([[0.0, 1.0], [0.0, 0.0]]).to_sparse())
    >>> shift(torch.tensor([[[[1.0], [2.0]]]])).flatten().tolist()
    [2.0, 0.0]
    """

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.shape = (matrix.shape[0], matrix.shape[1])
        for name, each in (("there", matrix), ("back", matrix.mT)):
            with warnings.catch_warnings():  # that PyTorch's compressed rows are in beta
                warnings.simplefilter("ignore", UserWarning)
                rows = each.coalesce().to_sparse_csr()
            # Kept as plain tensors, which can be copied and saved.
            self.register_buffer(f"{name}_starts", rows.crow_indices())
            self.register_buffer(f"{name}_places", rows.col_indices())
            self.register_buffer(f"{name}_values", rows.values())

    def forward(self, x: Tensor) -> Tensor:
        """The product with every column of images (B, C, n, W), as (B, C, m, W)."""
        return self._by_columns("there", self.shape, x)

    def transposed(self, y: Tensor) -> Tensor:
        """The product of the transpose with images (B, C, m, W), as (B, C, n, W)."""
        return self._by_columns("back", self.shape[::-1], y)

    def _by_columns(self, name: str, shape: tuple[int, ...], x: Tensor) -> Tensor:
        """A matrix times all columns of x (B, C, n, W)."""
        batch, channels, _, width = x.shape
        columns = x.permute(2, 0, 1, 3).flatten(1)
        wide = torch.promote_types(x.dtype, torch.float32)  # half precision has no sparse products
        starts, places, values = (
            self.get_buffer(f"{name}_{part}") for part in ("starts", "places", "values")
        )
        matrix = torch.sparse_csr_tensor(
            starts, places, values.to(wide), shape, check_invariants=False
        )
        product = (matrix @ columns.to(wide).contiguous()).to(x.dtype)
        return product.unflatten(1, (batch, channels, width)).permute(1, 2, 0, 3)


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


def _map_of(matrix: Tensor) -> DenseMap | SparseMap:
    """The quicker map by a resampling matrix (m, n), whose rows have some 4 n / m entries."""
    sparse = matrix.shape[0] * MOST_REDUCED > matrix.shape[1]
    return SparseMap(matrix.to_sparse()) if sparse else DenseMap(matrix)


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


def _enlarging_matrix(size: int, factor: float) -> Tensor:
    """The matrix (size, size / factor) that enlarges a signal to ``size`` samples."""
    identity = torch.eye(max(1, round(size / factor)))[None, None]
    shape = (size, identity.shape[-1])
    return F.interpolate(identity, shape, mode="bicubic", align_corners=False)[0, 0]
