"""Tiny random generator with every feature of a real one, for tests and documentation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators.base import Generator, LayerState, gaussian_by_seed

CHANNELS = 8
STYLE_WIDTH = 8
NOISE_STRENGTH = 0.1


class ToyGenerator(Generator):
    """Four layers of fixed random weights: a constant, two doublings, a map to RGB.

    Each layer scales its input by one style code (bounded, 1 + tanh) and all but the last add a
    fixed noise map. The range of ``G`` has 32 dimensions; the inputs of layers 1, 2, 3 have 8
    entries at each of 4x4, 8x8 and 16x16 places (for ``resolution=16``), so that every later cut
    can express more.

    Args:
        resolution: height and width of the image, a multiple of 4.
        channels: number of channels of the image.

    Raises:
        ValueError: if ``resolution`` is not a positive multiple of 4.

    >>> ToyGenerator()(ToyGenerator().sample([0, 1])).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(self, resolution: int = 16, channels: int = 3) -> None:
        super().__init__()
        if resolution < 4 or resolution % 4:
            raise ValueError(f"the resolution must be a positive multiple of 4, not {resolution}")
        self.name = "toy"
        self.num_layers = 4
        self.num_ws = 4
        self.resolution, self.channels = resolution, channels
        self.latent_shape = (self.num_ws, STYLE_WIDTH)
        sizes = [resolution // 4, resolution // 2, resolution]
        draw = torch.Generator().manual_seed(0)

        def weight(*shape: int, gain: float = 1.0) -> Tensor:
            return torch.randn(shape, generator=draw) * gain / math.prod(shape[1:]) ** 0.5

        self.register_buffer(
            "constant", torch.randn(1, CHANNELS, sizes[0], sizes[0], generator=draw)
        )
        for i, size in enumerate(sizes):
            self.register_buffer(f"style_{i}", weight(CHANNELS, STYLE_WIDTH))
            self.register_buffer(f"conv_{i}", weight(CHANNELS, CHANNELS, 3, 3, gain=1.4))
            noise = torch.randn(1, 1, size, size, generator=draw)
            self.register_buffer(f"noise_{i}", NOISE_STRENGTH * noise)
        self.register_buffer("style_3", weight(CHANNELS, STYLE_WIDTH))
        self.register_buffer("rgb", weight(channels, CHANNELS, 1, 1, gain=1.2))

    def sample(self, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
        """Draw whitened codes (B, 4, 8): one Gaussian per seed, the same at every style input."""
        z = gaussian_by_seed(seeds, self.latent_shape[1:]).to(self.get_buffer("constant"))
        return (truncation * z)[:, None].expand(-1, self.num_ws, -1).contiguous()

    def start(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """Return the state before layer 0; ``noise`` replaces the three maps (1 or B, 1, H, W)."""
        if noise is None:
            noise = [self.get_buffer(f"noise_{i}") for i in range(3)]
        return LayerState(ws=F.leaky_relu(z, 0.2), noise=tuple(noise))

    def layer(self, index: int, state: LayerState) -> LayerState:
        """Apply the constant's convolution (0), doubling and one (1, 2), or the map to RGB (3)."""
        h = self.get_buffer("constant") if index == 0 else state.h
        assert h is not None and state.ws is not None
        if index in (1, 2):
            h = F.interpolate(h, scale_factor=2, mode="bilinear")
        style = F.linear(state.ws[:, index], self.get_buffer(f"style_{index}"))
        h = h * (1 + style.tanh())[..., None, None]
        if index == 3:
            h = F.conv2d(h, self.get_buffer("rgb"))
        else:
            h = F.conv2d(h, self.get_buffer(f"conv_{index}"), padding=1)
            h = F.leaky_relu(h + state.noise[index], 0.2)
        return LayerState(h=h, ws=state.ws, noise=state.noise)
