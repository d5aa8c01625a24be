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
SLOPE = 0.2


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


def mix_channels(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """A 1x1 convolution with styles in its weights: (B, Cin, H, W) -> (B, Cout, H, W).

    For few outputs, where the weights of each sample are small and a pass over ``x`` is not.

    Args:
        x: activation, channels last.
        weight: (Cout, Cin, 1, 1).
        scale: styles (B, Cin).
    """
    batch, _, height, width = x.shape
    kernel = (weight[:, :, 0, 0] * scale[:, None]).to(x.dtype)
    mixed = pixels_first(x) @ kernel.mT
    return mixed.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def activate(y: Tensor, factor: Tensor, noise: Tensor | None, bias: Tensor) -> Tensor:
    """``lrelu_0.2(factor * y + noise + bias)``, written over ``y``.

    Args:
        y: (B, C, H, W); nothing else may need it.
        factor: (B, C, 1, 1), not 0.
        noise: (1 or B, 1, H, W), or ``None``.
        bias: (C, 1, 1), takes no gradient.
    """
    return _Activate.apply(y, factor, noise, bias)


class _Activate(torch.autograd.Function):
    """Keeps its output alone, which the next operation keeps too.

    With ``a = f y + n + b``, ``h = lrelu(a)`` and ``g' = g lrelu'(a)``, homogeneity gives
    ``g' a = g h``, so the gradient ``Σ g' y`` of the factor is ``(Σ g h - Σ g' (n + b)) / f``.
    """

    @staticmethod
    def forward(ctx, y: Tensor, factor: Tensor, noise: Tensor | None, bias: Tensor) -> Tensor:
        h = torch.addcmul(bias, y, factor, out=y)
        if noise is not None:
            h.add_(noise)
        F.leaky_relu_(h, SLOPE)
        ctx.mark_dirty(y)
        ctx.save_for_backward(h, factor, noise, bias)
        return h

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        h, factor, noise, bias = ctx.saved_tensors
        (grad,) = grads
        ones = grad.new_ones(1, h[0, 0].numel())
        total = ones @ pixels_first(grad * h)
        grad = torch.ops.aten.leaky_relu_backward(grad, h, SLOPE, True)
        flat = pixels_first(grad)
        total = total - bias[:, 0, 0] * (ones @ flat)
        grad_noise = None
        if noise is not None:
            total = total - noise.flatten(2) @ flat
            grad_noise = flat.sum(2).view(len(h), 1, *h.shape[2:]).sum_to_size(noise.shape)
        return grad * factor, total.mT[..., None] / factor, grad_noise, None


def pixels_first(x: Tensor) -> Tensor:
    """(B, C, H, W) as (B, HW, C), without copying if it is in channels-last order."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
