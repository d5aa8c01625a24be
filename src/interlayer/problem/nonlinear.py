"""Operators that are not linear, yet have a gradient."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import torch
from deepinv.physics import LinearPhysics, Physics
from PIL import Image
from torch import Tensor


class Magnitudes(Physics):
    """Magnitudes of linear measurements, their signs or phases lost: ``A(x) = |B x|``.

    The gradient at an entry ``B x = 0`` is 0.

    Args:
        operator: linear operator B, real or complex.
        **kwargs: arguments of `deepinv.physics.Physics`.

    Reference: phase retrieval; deepinv's own `PhaseRetrieval` measures the squares.

    >>> from interlayer.problem import PartialCirculant
    >>> physics = Magnitudes(PartialCirculant((3, 8, 8), m=20))
    >>> x = torch.rand(1, 3, 8, 8)
    >>> bool((physics(x) == physics(-x)).all())
    True
    """

    def __init__(self, operator: LinearPhysics, **kwargs) -> None:
        super().__init__(**kwargs)
        self.operator = operator

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Magnitudes (B, m) of images (B, C, H, W)."""
        return self.operator.A(x, **kwargs).abs()


class JPEG(Physics):
    """JPEG compression and decompression by a real encoder (full colour, 4:4:4).

    ``A(x)`` is the decoded file. Its true gradient is zero almost everywhere; the one used here
    takes the rounding of the DCT coefficients, and the clipping to [0, 1], as the identity. With
    every colour sample kept and the transform orthogonal, that makes it the identity altogether.

    Args:
        quality: quality of Pillow's encoder (libjpeg), 1 to 95.
        **kwargs: arguments of `deepinv.physics.Physics`.

    Raises:
        ValueError: if ``quality`` is out of range.

    Reference: straight-through estimation, Bengio et al. (arXiv 1308.3432).

    >>> x = torch.rand(2, 3, 16, 16)
    >>> (JPEG(95)(x) - x).abs().mean() < (JPEG(5)(x) - x).abs().mean()
    tensor(True)
    """

    def __init__(self, quality: int, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 1 <= quality <= 95:
            raise ValueError(f"JPEG quality is 1 to 95, not {quality}")
        self.quality = quality

    def A(self, x: Tensor, **kwargs) -> Tensor:
        """Decoded images (B, 3, H, W) in [0, 1]."""
        decoded = _StraightThrough.apply(x, self.quality)
        assert isinstance(decoded, Tensor)
        return decoded


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quality: int) -> Tensor:
        return torch.stack([_through_jpeg(image, quality) for image in x]).to(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _through_jpeg(image: Tensor, quality: int) -> Tensor:
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    with BytesIO() as file:
        # 4:4:4, for only then is the gradient above the straight-through one
        Image.fromarray(pixels).save(file, format="JPEG", quality=quality, subsampling=0)
        with Image.open(file, formats=["JPEG"]) as decoded:
            return torch.from_numpy(np.array(decoded)).permute(2, 0, 1) / 255
