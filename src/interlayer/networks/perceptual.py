"""Perceptual distance between pictures: shift-tolerant LPIPS, as a loss and as a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from interlayer.errors import InputError
from interlayer.networks.imagenet import IMAGENET_MEAN, IMAGENET_STD
from interlayer.weights import cache

Trunk = Literal["alex", "vgg"]
MIN_SIZE = 32


@dataclass(frozen=True)
class TrunkLayout:
    """Layout of a trunk: five slices, whose outputs are compared.

    Attributes:
        convolutions: number of convolutions in each slice.
        pooled: numbers of the slices that start with a max-pooling and a blur to half the size.
        pool: width of the max-pooling.
    """

    convolutions: tuple[int, ...]
    pooled: tuple[int, ...]
    pool: int


TRUNK_LAYOUTS: dict[Trunk, TrunkLayout] = {
    "alex": TrunkLayout(convolutions=(1, 1, 1, 1, 1), pooled=(1, 2), pool=3),
    "vgg": TrunkLayout(convolutions=(2, 2, 3, 3, 3), pooled=(1, 2, 3, 4), pool=2),
}


class PerceptualNetwork(nn.Module):
    r"""Shift-tolerant LPIPS, a distance between two pictures as a network sees them.

    ``d(x, y) = Σ_s mean_(i,j) Σ_c v_sc (f_s(x) - f_s(y))²_cij`` with features ``f_s`` of five
    depths, of unit length over the channels, and learned weights ``v_s >= 0``; 0 for equal
    pictures. Blurs before subsampling let a shift by a pixel change little.

    Its tensors are buffers: gradients reach the pictures alone.

    Args:
        tensors: tensors of the weights ``perceptual``; see `load_perceptual`.
        trunk: name of the network that looks, ``alex`` (quick) or ``vgg``.

    Reference: Ghildyal and Liu, Shift-tolerant Perceptual Similarity Metric, ECCV 2022,
    arXiv 2207.13686; Zhang et al., LPIPS, arXiv 1801.03924.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], trunk: Trunk = "alex") -> None:
        super().__init__()
        self.trunk: Trunk = trunk
        layout, number = TRUNK_LAYOUTS[trunk], count()
        self.slices = nn.ModuleList()
        for place, convolutions in enumerate(layout.convolutions):
            modules: list[nn.Module] = []
            if place in layout.pooled:
                modules += [nn.MaxPool2d(layout.pool, stride=1), Blur()]
            for _ in range(convolutions):
                name = f"{trunk}.conv{next(number)}"
                weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
                kind = BlurredConvolution if weight.shape[-1] == 11 else Convolution
                modules += [kind(weight, bias), nn.ReLU(inplace=True)]
            self.slices.append(nn.Sequential(*modules))
            self.register_buffer(f"head{place}", tensors[f"{trunk}.head{place}"])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(3, 1, 1))
        self.eval().to(memory_format=torch.channels_last)

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """Yield each slice's unit features (B, C_s, h_s, w_s) of pictures (B, 3, H, W) in [0, 1].

        Raises:
            InputError: if ``x`` is no RGB picture of at least 32x32 pixels.
        """
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < MIN_SIZE:
            raise InputError(
                f"the perceptual distance compares RGB pictures of {MIN_SIZE}x{MIN_SIZE} pixels or "
                f"more, not of shape {tuple(x.shape)}; use a method without it"
            )
        h = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        for part in self.slices:
            h = part(h)
            yield F.normalize(h, dim=1, eps=1e-10)

    def distances(self, x: Tensor, y: Tensor) -> Iterator[Tensor]:
        """Yield the share of each slice in the distance of `forward`."""
        for place, (f, g) in enumerate(zip(self.features(x), self.features(y), strict=True)):
            weights = self.get_buffer(f"head{place}").reshape(1, -1, 1, 1)
            yield ((f - g).square() * weights).sum(1).mean((1, 2))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distance (B,) between pictures (B, 3, H, W) in [0, 1].

        Raises:
            InputError: as `features`.
        """
        return sum(self.distances(x, y), start=x.new_zeros(len(x)))


class Convolution(nn.Module):
    """Convolution with given weights and zeros around the image."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.padding = min(weight.shape[-1] // 2, 2)

    def forward(self, h: Tensor) -> Tensor:
        return F.conv2d(h, self.weight, self.bias, padding=self.padding)


class Blur(nn.Module):
    """Half the size by the filter [1, 2, 1] / 4 along both axes, mirrored at the borders."""

    def forward(self, h: Tensor) -> Tensor:
        channels = h.shape[1]
        taps = h.new_tensor([1, 2, 1]) / 4
        kernel = (taps[:, None] * taps).expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(h, (2, 2, 2, 2), "reflect"), kernel, stride=2, groups=channels)


class BlurredConvolution(Convolution):
    """Convolution with a `Blur` behind it, at a quarter of the cost.

    Away from the borders the two commute: blurring 3 channels instead of 64 and then convolving
    with stride 2 is the same. Row i of the result sees rows 2i-2 to 2i of the convolution's n. The
    mirror makes row 0 equal row 1; the last row equals the one before it if n is odd, else it is
    the mean of the last two.
    """

    def forward(self, h: Tensor) -> Tensor:
        h = F.pad(h, (self.padding,) * 4)
        parts = [
            [F.conv2d(block, self.weight, self.bias, stride=2) for block in self._blurred(rows, 3)]
            for rows in self._blurred(h, 2)
        ]
        whole = torch.cat([torch.cat(row, 3) for row in parts], 2)
        odd = [(size - self.weight.shape[-1]) % 2 == 0 for size in h.shape[:1:-1]]
        return F.pad(whole, (1, int(odd[0]), 1, int(odd[1])), "replicate")

    def _blurred(self, h: Tensor, dim: int) -> list[Tensor]:
        """Blur along one axis; if the last row differs, also return the part that it alone sees."""
        size, width = h.shape[dim], self.weight.shape[-1]
        pairs = (h.narrow(dim, 0, size - 1) + h.narrow(dim, 1, size - 1)) / 2
        inner = (pairs.narrow(dim, 0, size - 2) + pairs.narrow(dim, 1, size - 2)) / 2
        if (size - width) % 2 == 0:
            return [inner]
        return [inner, pairs.narrow(dim, size - 1 - width, width)]


def load_perceptual(trunk: Trunk = "alex", note: cache.Note = cache.to_stderr) -> PerceptualNetwork:
    """Load the network of the weights ``perceptual``, pulled on first use.

    Args:
        trunk: name of the network that looks, ``alex`` (quick) or ``vgg``.
        note: function that is called with one line about each thing done.

    Raises:
        InputError: if the weights cannot be pulled.
    """
    return PerceptualNetwork(cache.load_tensors("perceptual", note=note), trunk)
