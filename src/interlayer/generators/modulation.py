"""Modulated convolution (arXiv 1912.04958, section 2.2) for frozen weights.

The paper scales the weights of each sample by its styles, ``w'_oik = s_i w_oik``, and divides by
``sqrt(Σ_ik w'_oik² + ε)``. Both factors leave the convolution: the styles scale its input channels
and the divisor its output channels, so a batch is one convolution and no weight takes a gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

DEMODULATION_EPSILON = 1e-8


def binomial_filter() -> Tensor:
    """The resampling filter ``[1, 3, 3, 1] ⊗ [1, 3, 3, 1] / 16`` of total gain 4, shape (4, 4)."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    return line[:, None] * line


def demodulation(scale: Tensor, squares: Tensor) -> Tensor:
    """Output factors ``d_bo = (Σ_i s_bi² Σ_k w_oik² + ε)^(-1/2)``.

    Args:
        scale: styles s (B, Cin).
        squares: ``Σ_k w_oik²`` (Cout, Cin).
    """
    return (F.linear(scale.square(), squares) + DEMODULATION_EPSILON).rsqrt()


def convolve_up(x: Tensor, weight: Tensor, blur: Tensor) -> Tensor:
    """Convolve to twice the size: (B, Cin, H, W) -> (B, Cout, 2H, 2W).

    A transposed 3x3 convolution with stride 2 and a depthwise blur. Merged into one transposed 6x6
    convolution they take four times the arithmetic, which is slower at every size and width, on
    the CPU and with channels last, than the pass over memory that it saves.

    Args:
        x: activation.
        weight: (Cin, Cout, 3, 3).
        blur: (4, 4).
    """
    return depthwise(F.conv_transpose2d(x, weight, stride=2), blur)


def depthwise(x: Tensor, kernel: Tensor) -> Tensor:
    """Every channel convolved with the same 4x4 kernel, padded by one pixel."""
    channels = x.shape[1]
    weight = kernel.to(x.dtype).expand(channels, 1, 4, 4)
    weight = weight.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, padding=1, groups=channels)


def double(image: Tensor, kernel: Tensor) -> Tensor:
    """Upsample by zero insertion and the 4x4 filter: (B, C, H, W) -> (B, C, 2H, 2W)."""
    channels = image.shape[1]
    weight = kernel.to(image.dtype).expand(channels, 1, 4, 4)
    return F.conv_transpose2d(image, weight, stride=2, padding=1, groups=channels)


def activate(y: Tensor, factor: Tensor, noise: Tensor | None, bias: Tensor) -> Tensor:
    """``lrelu_0.2(factor * y + noise + bias)``, in one new tensor.

    Args:
        y: (B, C, H, W).
        factor: (B, C, 1, 1).
        noise: (1 or B, 1, H, W), or ``None``.
        bias: (1, C, 1, 1).
    """
    h = y * factor
    if noise is not None:
        h.add_(noise)
    return F.leaky_relu_(h.add_(bias), 0.2)
