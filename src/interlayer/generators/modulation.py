"""Modulated convolution (arXiv 1912.04958, section 2.2) for frozen weights.

The paper scales the weights of each sample by its styles, ``w'_oik = s_i w_oik``, and divides by
``sqrt(Σ_ik w'_oik² + ε)``. The divisor leaves the convolution and scales its output channels. The
styles stay in the weights, which are small beside the activations, but no gradient goes through
them: with ``y = (w s) * x``, the gradient of x is ``g_x = s (wᵀ * g)``, and so the gradient of a
style is ``Σ x (wᵀ * g) = Σ x g_x / s``, one pass over what is there already.

Activations are in channels-last order throughout; kernels in another order would undo that.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

DEMODULATION_EPSILON = 1e-8
SLOPE = 0.2


def binomial_filter() -> Tensor:
    """Resampling filter ``[1, 3, 3, 1] ⊗ [1, 3, 3, 1] / 16`` of total gain 4, shape (4, 4)."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    return line[:, None] * line


def demodulation(scale: Tensor, squares: Tensor) -> Tensor:
    """Output factors ``d_bo = (Σ_i s_bi² Σ_k w_oik² + ε)^(-1/2)``.

    Args:
        scale: styles s (B, Cin).
        squares: ``Σ_k w_oik²`` (Cout, Cin).
    """
    return (F.linear(scale.square(), squares) + DEMODULATION_EPSILON).rsqrt()


def convolve(x: Tensor, weight: Tensor, scale: Tensor, groups: int = 1, padding: int = 1) -> Tensor:
    """Convolve ``scale * x``, of the same size where 3x3 kernels are padded by one pixel.

    Args:
        x: activation.
        weight: kernels (Cout, Cin / groups, k, k).
        scale: styles (B, Cin).
        groups: 1, or Cin for a depthwise convolution.
        padding: zeros on each side.
    """
    by_input = scale[:, :, None, None, None] if groups > 1 else scale[:, None, :, None, None]
    return _Styled.apply(x, weight, scale, by_input, (1, padding, False, groups))


def convolve_up(x: Tensor, weight: Tensor, scale: Tensor, blur: Tensor) -> Tensor:
    """Convolve ``scale * x`` to twice the size: (B, Cin, H, W) -> (B, Cout, 2H, 2W).

    A transposed 3x3 convolution with stride 2 and a depthwise blur. Merged into one transposed 6x6
    convolution they take four times the arithmetic, which is slower at every size and width, on
    the CPU and with channels last, than the pass over memory that it saves.

    Args:
        x: activation.
        weight: kernels (Cin, Cout, 3, 3).
        scale: styles (B, Cin).
        blur: filter (4, 4).
    """
    by_input = scale[:, :, None, None, None]
    return depthwise(_Styled.apply(x, weight, scale, by_input, (2, 0, True, 1)), blur)


class _Styled(torch.autograd.Function):
    """Convolution with a kernel per image; ``setting``: stride, padding, transposed, groups."""

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        weight: Tensor,
        scale: Tensor,
        by_input: Tensor,
        setting: tuple[int, int, bool, int],
    ) -> Tensor:
        kernels = [channels_last(weight * factor).to(x.dtype) for factor in nonzero(by_input)]
        ctx.save_for_backward(x, scale, *kernels)
        ctx.setting = stride, padding, transposed, groups = setting
        convolution = F.conv_transpose2d if transposed else F.conv2d
        return as_batch(
            convolution(image, kernel, stride=stride, padding=padding, groups=groups)
            for image, kernel in zip(x.split(1), kernels, strict=True)
        )

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, *kernels = ctx.saved_tensors
        stride, padding, transposed, groups = ctx.setting
        grad = as_batch(
            torch.ops.aten.convolution_backward(
                *(g, image, kernel, None, [stride] * 2, [padding] * 2, [1, 1]),
                *(transposed, [0, 0], groups, (True, False, False)),
            )[0]
            for g, image, kernel in zip(grads[0].split(1), x.split(1), kernels, strict=True)
        )
        return grad, None, products(grad, x) / nonzero(scale), None, None


def depthwise(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve every channel with the same 4x4 kernel, padded by one pixel."""
    channels = x.shape[1]
    weight = channels_last(kernel.to(x.dtype).expand(channels, 1, 4, 4))
    return F.conv2d(x, weight, padding=1, groups=channels)


def double(image: Tensor, kernel: Tensor) -> Tensor:
    """Upsample by zero insertion and the 4x4 filter: (B, C, H, W) -> (B, C, 2H, 2W)."""
    channels = image.shape[1]
    weight = kernel.to(image.dtype).expand(channels, 1, 4, 4)
    return F.conv_transpose2d(image, weight, stride=2, padding=1, groups=channels)


def mix_channels(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """Mix the channels of ``scale * x`` at every pixel: (B, Cin, H, W) -> (B, Cout, H, W).

    Args:
        x: activation.
        weight: matrix (Cout, Cin).
        scale: styles (B, Cin).
    """
    by_input = scale[:, None, :, None, None]
    return _Styled.apply(x, weight[..., None, None], scale, by_input, (1, 0, False, 1))


def shuffle(x: Tensor) -> Tensor:
    """Spread four channels over four pixels: (B, 4C, H, W) -> (B, C, 2H, 2W), channels last.

    The first C channels go to the pixels at (0, 0), the next to (0, 1), (1, 0) and (1, 1). In this
    order, unlike in that of `torch.nn.functional.pixel_shuffle`, whole runs of memory move.
    """
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height, width, 2, channels // 2).transpose(2, 3)
    whole = rows.reshape(batch, 2 * height, 2 * width, channels // 4)
    return whole.permute(0, 3, 1, 2)


def nonzero(scale: Tensor) -> Tensor:
    """Replace zeros, so that styles can be divided by."""
    return scale.where(scale != 0, 1e-20)


def as_batch(images: Iterable[Tensor]) -> Tensor:
    """Join batches of one into one batch; a single one is not copied."""
    first, *others = images
    return torch.cat([first, *others]) if others else first


def channels_last(kernel: Tensor) -> Tensor:
    """Put a kernel in the memory order that the activations then take too."""
    return kernel.contiguous(memory_format=torch.channels_last)


def products(x: Tensor, y: Tensor) -> Tensor:
    """Sum ``x y`` over the pixels of each channel, (B, C), in at least float32.

    The sum is the gradient of the weight of a normalisation by mean 0 and deviation 1, which takes
    one pass over both where a product and a sum take three.
    """
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    one, zero = x.new_ones(x.shape[1], dtype=wide), x.new_zeros(x.shape[1], dtype=wide)
    fixed = (one, zero, one, zero, one, False, 0.0, (False, True, False))
    return torch.stack(
        [
            torch.ops.aten.native_batch_norm_backward(each_x, each_y, *fixed)[1]
            for each_x, each_y in zip(x.split(1), y.split(1), strict=True)
        ]
    )


def activate(y: Tensor, factor: Tensor, noise: Tensor | None, bias: Tensor) -> Tensor:
    """Write ``lrelu_0.2(factor * y + noise + bias)`` over ``y``.

    Args:
        y: activation (B, C, H, W) that nothing else needs.
        factor: factors (B, C, 1, 1), none of them 0.
        noise: noise map (1 or B, 1, H, W), or ``None``.
        bias: biases (C, 1, 1), which take no gradient.
    """
    return _Activate.apply(y, factor, noise, bias)


class _Activate(torch.autograd.Function):
    """Operation of `activate`, which keeps its output alone, as the next one does anyway.

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
        total = products(grad, h)
        ones = grad.new_ones(1, h[0, 0].numel())
        grad = torch.ops.aten.leaky_relu_backward(grad, h, SLOPE, True)
        flat = pixels_first(grad)
        total = total - (bias[:, 0, 0] * (ones @ flat))[:, 0]
        grad_noise = None
        if noise is not None:
            total = total - (noise.flatten(2) @ flat)[:, 0]
            grad_noise = flat.sum(2).view(len(h), 1, *h.shape[2:]).sum_to_size(noise.shape)
        grad_factor = (total[..., None, None] / factor).to(factor.dtype)
        return grad * factor, grad_factor, grad_noise, None


def pixels_first(x: Tensor) -> Tensor:
    """View (B, C, H, W) as (B, HW, C); nothing is copied in channels-last order."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
