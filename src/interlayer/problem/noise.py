"""Noise that is the same for an image whatever the batch, the device and the number of calls."""

from __future__ import annotations

import torch
from deepinv.physics import GaussianNoise, NoiseModel, PoissonNoise
from torch import Tensor


class _PerImage(NoiseModel):
    """Random draws on the CPU, for each image alone, from the seed that ``rng`` was made with."""

    def forward(self, input: Tensor, *args, **kwargs) -> Tensor:
        assert self.rng is not None
        kwargs["seed"] = self.rng.initial_seed()
        draw = super().forward
        images = [draw(image[None].cpu(), *args, **kwargs) for image in input]
        return torch.cat(images).to(input.device)


class SeededGaussianNoise(_PerImage, GaussianNoise):  # pyright: ignore[reportIncompatibleMethodOverride]
    """deepinv's Gaussian noise ``y + sigma ε``, with the same ``ε ~ N(0, I)`` for every image.

    Args:
        sigma: standard deviation.
        rng: CPU generator whose seed determines the noise.

    >>> noise = SeededGaussianNoise(0.1, torch.Generator().manual_seed(3))
    >>> y = noise(torch.zeros(2, 3, 4, 4))
    >>> bool((y[0] == y[1]).all() and (y == noise(torch.zeros(2, 3, 4, 4))).all())
    True
    """


class SeededPoissonNoise(_PerImage, PoissonNoise):
    """deepinv's photon noise ``gain Poisson(max(y, 0) / gain)``, seeded per image.

    Args:
        gain: increment of the measurement per photon; the variance is ``gain y``.
        clip_positive: whether to clip negative values, needed where interpolation can go below 0.
        rng: CPU generator whose seed determines the noise.
    """


class DeadPixels(NoiseModel):
    """Dead pixels: each is 0 in all its channels with probability ``p``, and nothing says which.

    Args:
        p: probability of a dead pixel, or of a dead entry of measurements (B, m).
        rng: generator whose seed determines which are dead, the same in every image.

    >>> dead = DeadPixels(0.5, torch.Generator().manual_seed(0))
    >>> y = dead(torch.ones(1, 3, 100, 100))
    >>> bool((y[:, 0] == y[:, 2]).all()), round(y.mean().item(), 1)
    (True, 0.5)
    """

    def __init__(self, p: float, rng: torch.Generator) -> None:
        super().__init__(rng=rng)
        self.p = p

    def forward(self, input: Tensor, *args, **kwargs) -> Tensor:
        assert self.rng is not None
        rng = torch.Generator().manual_seed(self.rng.initial_seed())
        alive = torch.rand(input.shape[2:] or input.shape[1:], generator=rng) >= self.p
        return input * alive.to(input)
