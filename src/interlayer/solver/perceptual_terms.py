"""The perceptual distance as a measurement error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError
from interlayer.networks.perceptual import MIN_SIZE

_NOISE_SEED = 5


@dataclass(frozen=True)
class PerceptualLoss:
    r"""The perceptual distance between measured pictures and the same measurement of an estimate.

    ``(predicted, y, weight, x) -> (B,)``: measurements (B, 3, h, w), or (B, 1, h, w) for grey, with
    weights that broadcast to them, and the estimate x (B, 3, H, W). Entries of weight 0 are filled
    on both sides with x where it has the size of y, else with ``predicted``, so that they agree.
    What fills y counts as data: no gradient flows through that side.

    Args:
        network: perceptual distance, e.g. `load_perceptual()`.
        size: largest size, to which larger pictures are shrunk by averaging; it also bounds the
            time.

    Raises:
        InputError: when called with measurements that are not pictures, or are too small.

    >>> def brightness(x, y):
    ...     return (x - y).mean((1, 2, 3)).abs()
    >>> y, known = torch.ones(1, 3, 4, 4), torch.eye(4).reshape(1, 1, 4, 4)
    >>> PerceptualLoss(brightness)(0 * y, y, known, 0.5 * y)  # 4 of 16 pixels are off by 1
    tensor([0.2500])
    """

    network: Callable[[Tensor, Tensor], Tensor]
    size: int = 256

    def __call__(self, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        _check_pictures(y)
        fill = x if x.shape == y.shape else predicted
        known = weight > 0
        target = torch.where(known, y, fill).detach()
        shown = torch.where(known, predicted, fill)
        return self.network(_shrunk(shown, self.size), _shrunk(target, self.size))


@dataclass(frozen=True)
class MultiScaleLoss:
    r"""The perceptual distance at several scales between measured pictures and an imitation.

    ``Σ_s d(shrink_s(predicted + σ ε), shrink_s(y))`` over scales, each half the one before, down to
    the smallest that the network takes. Entries of weight 0 are black on both sides: where hardly
    any are known, filled pictures as in `PerceptualLoss` would agree whatever the estimate. As
    noise looks like texture to a network, the estimate is compared with noise of its own, one draw
    for all steps.

    Args:
        network: perceptual distance, e.g. `load_perceptual()`.
        sigma: standard deviation of the noise in the measurements.
        size: size of the largest scale, to which pictures are shrunk by averaging.

    Raises:
        InputError: when called with measurements that are not pictures, or are too small.

    Reference: the loss of Poirier-Ginter and Lalonde, Robust Unsupervised StyleGAN Image
    Restoration, CVPR 2023.

    >>> def brightness(x, y):
    ...     return (x - y).mean((1, 2, 3)).abs()
    >>> y, known = torch.ones(1, 3, 64, 64), torch.eye(64).reshape(1, 1, 64, 64)
    >>> MultiScaleLoss(brightness)(0 * y, y, known, 0 * y)  # 1 of 64 pixels is off by 1, twice
    tensor([0.0312])
    """

    network: Callable[[Tensor, Tensor], Tensor]
    sigma: float = 0.0
    size: int = 256

    def __call__(self, predicted: Tensor, y: Tensor, weight: Tensor, x: Tensor) -> Tensor:
        _check_pictures(y)
        if self.sigma:
            draw = torch.randn(y.shape[1:], generator=torch.Generator().manual_seed(_NOISE_SEED))
            predicted = predicted + self.sigma * draw.to(y.device)
        known = (weight > 0).to(y)
        a, b = (_shrunk(v * known, self.size) for v in (predicted, y))
        total = self.network(a, b)
        while min(a.shape[2:]) >= 2 * MIN_SIZE:
            a, b = (F.avg_pool2d(v, 2) for v in (a, b))
            total = total + self.network(a, b)
        return total


def _check_pictures(y: Tensor) -> None:
    if y.ndim != 4 or y.shape[1] not in (1, 3) or y.is_complex():
        raise InputError(
            "a perceptual loss compares pictures, which measurements of shape "
            f"{tuple(y.shape)} are not; use a method without it"
        )


def _shrunk(v: Tensor, size: int) -> Tensor:
    """RGB pictures of at most ``size`` pixels in height and width."""
    height, width = v.shape[2:]
    if max(height, width) > size:
        factor = size / max(height, width)
        v = F.interpolate(v, (round(height * factor), round(width * factor)), mode="area")
    return v.expand(-1, 3, -1, -1)
