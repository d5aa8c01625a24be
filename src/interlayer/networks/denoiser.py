"""A small denoiser of the input of a generator's layer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 8  # positions along the shorter edge of a folded map
GROUPS = 8


class Mixer(nn.Module):
    """A residual block that mixes positions, then channels (MLP-Mixer, arXiv 2105.01601).

    A layer's input is a function of one short code, so every position tells about every other.

    Args:
        width: number of channels, a multiple of 8.
        positions: number of positions.
    """

    def __init__(self, width: int, positions: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(GROUPS, width) for _ in range(2))
        self.channels = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(3))
        self.positions = nn.Linear(positions, positions)

    def forward(self, x: Tensor) -> Tensor:
        """Return the changed features (B, width, H, W)."""
        y = F.silu(self.channels[0](self.norms[0](x)))
        x = x + self.positions(y.flatten(2)).view_as(x)
        y = F.silu(self.channels[1](self.norms[1](x)))
        return x + self.channels[2](y)


class Denoiser(nn.Module):
    r"""A small network that removes Gaussian noise from the input of one layer.

    ``D(u + σ ε; σ) = E[u | u + σ ε]`` for ``u = (h - mean) / std``; by Tweedie's formula
    ``(D(u; σ) - u) / σ²`` is the score of u's density blurred by σ. Large maps are folded to
    8x8 positions with more channels; input and output are scaled as in Karras et al. (EDM, arXiv
    2206.00364).

    Args:
        mean: mean (C, H, W) of the layer's input over samples of the prior.
        std: standard deviation (C, 1, 1) of the layer's input.
        width: number of channels inside, a multiple of 8.
        depth: number of blocks.

    >>> import torch
    >>> denoise = Denoiser(torch.zeros(4, 16, 16), torch.ones(4, 1, 1), width=8, depth=1)
    >>> denoise(torch.randn(2, 4, 16, 16), torch.tensor([0.5, 1.0])).shape
    torch.Size([2, 4, 16, 16])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.fold = _fold(mean.shape[-2], mean.shape[-1])
        channels, positions = mean.shape[0] * self.fold**2, mean[0].numel() // self.fold**2
        self.first = nn.Conv2d(channels, width, 1)
        self.level = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Mixer(width, positions) for _ in range(depth))
        self.last = nn.Conv2d(width, channels, 1)
        for parameter in self.last.parameters():  # sets out as the denoiser of a Gaussian
            nn.init.zeros_(parameter)

    def whiten(self, h: Tensor) -> Tensor:
        """Return the layer's input (B, C, H, W) in the units of the network."""
        return (h - self.mean) / self.std

    def forward(self, u: Tensor, sigma: Tensor) -> Tensor:
        """Return the expected clean ``u`` (B, C, H, W), given it with noise of levels (B,)."""
        sigma = sigma[:, None, None, None]
        size = (1 + sigma.square()).sqrt()
        x = self.first(F.pixel_unshuffle(u / size, self.fold))
        x = x + self.level(sigma[:, :, 0, 0].log() / 4)[:, :, None, None]
        for block in self.blocks:
            x = block(x)
        found = F.pixel_shuffle(self.last(x), self.fold)
        return u / size.square() + found * sigma / size


def _fold(height: int, width: int) -> int:
    """The largest factor that divides both sides and leaves at least `SIDE` positions."""
    factors = range(1, max(1, min(height, width) // SIDE) + 1)
    return max(f for f in factors if height % f == width % f == 0)
