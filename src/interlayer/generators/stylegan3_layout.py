"""Layers of a StyleGAN3 as the paper derives them from a few hyper-parameters, with filters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import signal, special
from torch import Tensor

from interlayer.generators.stylegan3 import shapes_of

MARGIN = 10
TAPS = 6  # of a filter, for each factor
FIRST_CUTOFF, FIRST_STOPBAND = 2.0, 2**2.1
LAST_STOPBAND = 2**0.3  # over the last cutoff
RISE = 2  # of the rate around a rectifier


@dataclass(frozen=True)
class Band:
    """What one layer's output holds.

    Attributes:
        cutoff: highest frequency, in periods across the image.
        half_width: half of the band in which its filter falls.
        rate: sampling rate.
        size: height and width with the margin.
        channels: number of channels.
    """

    cutoff: float
    half_width: float
    rate: int
    size: int
    channels: int


@dataclass(frozen=True)
class StyleGAN3Layout:
    """Hyper-parameters of a StyleGAN3 (Karras et al., arXiv 2106.12423, section 3.2).

    Attributes:
        resolution: height and width of the image, a power of two.
        rotation: whether it is of the configuration R, with 1x1 kernels and radial filters.
        depth: number of layers between the input and the one that makes the image.
        base: number of channels times twice the cutoff.
        widest: largest number of channels.
        z_dim: size of the Gaussian latent.
        w_dim: size of a style code.
        mapping: number of layers of the mapping network.
        colours: number of channels of the image.
        critical: number of last layers whose filters are as sharp as their rate allows.

    >>> [band.size for band in StyleGAN3Layout(32, depth=6, base=128, widest=32).bands]
    [36, 36, 52, 52, 52, 32, 32]
    """

    resolution: int
    rotation: bool = False
    depth: int = 14
    base: int = 32768
    widest: int = 512
    z_dim: int = 512
    w_dim: int = 512
    mapping: int = 2
    colours: int = 3
    critical: int = 2

    @property
    def bands(self) -> list[Band]:
        """What each layer's output holds, the image's last."""
        last = self.resolution / 2
        bands: list[Band] = []
        for i in range(self.depth + 1):
            share = min(i / (self.depth - self.critical), 1)
            cutoff = FIRST_CUTOFF * (last / FIRST_CUTOFF) ** share
            stopband = FIRST_STOPBAND * (last * LAST_STOPBAND / FIRST_STOPBAND) ** share
            rate = 2 ** math.ceil(math.log2(min(2 * stopband, self.resolution)))
            size = self.resolution if i > self.depth - 2 else rate + 2 * MARGIN
            inner = min(round(self.base / 2 / cutoff), self.widest)
            channels = self.colours if i == self.depth else inner
            width = max(stopband, rate / 2) - cutoff
            bands.append(Band(cutoff, width, rate, size, channels))
        return bands

    def filters_and_plans(self) -> dict[str, Tensor]:
        """What is not learned: filters, factors and padding, by the names of `StyleGAN3`."""
        found: dict[str, Tensor] = {"output.scale": torch.tensor(0.25)}
        bands = self.bands
        first, kernel = bands[0], 1 if self.rotation else 3
        found["input.grid"] = torch.tensor([first.size, first.rate, first.cutoff])
        for i, band in enumerate(bands):
            before = bands[max(i - 1, 0)]
            image = i == self.depth
            rate = max(before.rate, band.rate) * (1 if image else RISE)
            up, down = rate // before.rate, rate // band.rate
            radial = self.rotation and i < self.depth - self.critical
            rise = lowpass(1 if image else TAPS * up, before, rate)
            fall = lowpass(1 if image else TAPS * down, band, rate, radial)
            own = 1 if image else kernel
            total = (band.size - 1) * down + 1 - (before.size + own - 1) * up
            total += len(rise) + len(fall) - 2
            low = (total + up) // 2
            found |= {f"L{i}.up": rise, f"L{i}.down": fall}
            found[f"L{i}.plan"] = torch.tensor([up, down, low, total - low, image]).float()
        return found

    def random_tensors(self, seed: int) -> dict[str, Tensor]:
        """Draw weights as before training, but with biases that act."""
        rng = torch.Generator().manual_seed(seed)
        bands = self.bands
        kernels = [1 if self.rotation else 3] * self.depth + [1]
        widths = [bands[0].channels, *(band.channels for band in bands)]
        tensors = self.filters_and_plans()
        for name, shape in shapes_of(
            widths, kernels, self.z_dim, [self.w_dim] * self.mapping
        ).items():
            if name in tensors:
                continue
            gain = 0.1 if name.endswith("bias") else 1.0
            if len(shape) == 2:
                gain = shape[1] ** -0.5
            value = gain * torch.randn(shape, generator=rng)
            tensors[name] = value + 1 if name.endswith("style.bias") else value
            if name.endswith(".gain"):
                tensors[name] = torch.tensor(1.0)
        tensors["input.transform"] = torch.eye(3)
        tensors["input.phases"] = torch.rand(widths[0], generator=rng) - 0.5
        directions = torch.randn(widths[0], 2, generator=rng)
        lengths = bands[0].cutoff * torch.rand(widths[0], 1, generator=rng).sqrt()
        tensors["input.freqs"] = lengths * directions / directions.norm(dim=1, keepdim=True)
        tensors["input.style.weight"] *= 0.01
        tensors["input.style.bias"] = torch.tensor([1.0, 0.0, 0.0, 0.0])
        tensors[f"L{self.depth}.gain"] = torch.tensor(widths[-2] ** -0.5)
        return tensors


def lowpass(taps: int, band: Band, rate: float, radial: bool = False) -> Tensor:
    """A Kaiser filter (taps,), or a radial one (taps, taps), that keeps a band.

    >>> lowpass(12, Band(2, 4, 16, 36, 8), 32).sum()
    tensor(1.)
    """
    if taps == 1:
        return torch.ones(1)
    if not radial:
        line = signal.firwin(taps, band.cutoff, width=2 * band.half_width, fs=rate)
        return torch.from_numpy(line).float()
    places = (np.arange(taps) - (taps - 1) / 2) / rate
    distance = np.hypot(*np.meshgrid(places, places))
    plane = special.j1(2 * band.cutoff * np.pi * distance) / (np.pi * distance)
    attenuation = signal.kaiser_atten(taps, 2 * band.half_width / (rate / 2))
    window = np.kaiser(taps, signal.kaiser_beta(attenuation))
    plane = plane * np.outer(window, window)
    return torch.from_numpy(plane / plane.sum()).float()
