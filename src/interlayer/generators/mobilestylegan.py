"""MobileStyleGAN (arXiv 2104.04767): a wavelet StyleGAN2 student, faces at 1024x1024, 8 million weights.

Layer 0 is a 3x3 convolution of a learned constant; layers 1 to 7 double the size by a style-scaled
inverse Haar transform and two depthwise-separable convolutions; layer 8 predicts twelve wavelet
bands and transforms them to RGB. Style scales act on activations and the published weights carry
the demodulation, so a batch is one convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators.base import Generator, LayerState, LayerStatistics, gaussian_by_seed

MAPPING_DEPTH = 8
MEAN_SAMPLES = 10_000


class MobileStyleGAN(Generator):
    """The generator, built from the tensors of one weights file (see `tensors_from_ir`).

    ``z`` is PULSE's whitened style space: ``w = lrelu_0.2(std * z + mean)`` with mean and standard
    deviation of ``lrelu_5(w)`` over mapped Gaussians, one code for each of the 23 style inputs.

    Args:
        tensors: weights by name.
        name: what the generator is called in results.

    Reference: Belousov, MobileStyleGAN, arXiv 2104.04767; Menon et al., PULSE, arXiv 2003.03808.
    """

    def __init__(self, tensors: Mapping[str, Tensor], name: str = "faces") -> None:
        super().__init__()
        self.name = name
        self.depth = sum(key.endswith(".up.style.weight") for key in tensors)
        self.num_layers = self.depth + 2
        self.num_ws = 1 + 3 * self.depth + 1
        self.resolution = tensors["constant"].shape[-1] * 2 ** (self.depth + 1)
        self.latent_shape = (self.num_ws, tensors["mapping.0.weight"].shape[1])
        for key, value in tensors.items():
            if not key.startswith("statistics."):
                self.register_buffer(key.replace(".", "_"), value)
        self._statistics = {
            int(key.split(".")[1]): LayerStatistics(std=value)
            for key, value in tensors.items()
            if key.startswith("statistics.")
        }
        if "latent.mean" not in tensors:
            self._measure_latent()

    def _get(self, key: str) -> Tensor:
        return getattr(self, key.replace(".", "_"))

    @torch.no_grad()
    def _measure_latent(self) -> None:
        """Mean and standard deviation of the style code before its last activation."""
        pairs = gaussian_by_seed([0], (MEAN_SAMPLES, self.latent_shape[1]))[0]
        before = F.leaky_relu(self.mapping(pairs), 5.0)
        self.register_buffer("latent_mean", before.mean(0))
        self.register_buffer("latent_std", before.std(0))

    def mapping(self, gaussian: Tensor) -> Tensor:
        """Style codes w (B, w_dim) of Gaussian latents (B, w_dim)."""
        w = gaussian * (gaussian.square().mean(-1, keepdim=True) + 1e-8).rsqrt()
        for i in range(MAPPING_DEPTH):
            w = F.linear(w, self._get(f"mapping.{i}.weight"), self._get(f"mapping.{i}.bias"))
            w = F.leaky_relu(w, 0.2) * 2**0.5
        return w

    def whiten(self, ws: Tensor) -> Tensor:
        """Latent codes z of style codes w, elementwise; the inverse of `styles`."""
        return (F.leaky_relu(ws, 5.0) - self._get("latent.mean")) / self._get("latent.std")

    def styles(self, z: Tensor) -> Tensor:
        """Style codes ``w = lrelu_0.2(std * z + mean)``."""
        return F.leaky_relu(self._get("latent.std") * z + self._get("latent.mean"), 0.2)

    def sample(self, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
        """Whitened W+ codes (B, 23, 512) of mapped Gaussians, the same w at every style input."""
        gaussian = gaussian_by_seed(seeds, self.latent_shape[1:])
        z = self.whiten(self.mapping(gaussian.to(self._get("latent.mean").device)))
        return (truncation * z)[:, None].expand(-1, self.num_ws, -1).contiguous()

    def start(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """The state before layer 0; ``noise`` replaces the 15 fixed maps (1 or B, 1, H, W)."""
        if noise is None:
            noise = [self._get(f"noise.{i}") for i in range(1 + 2 * self.depth)]
        return LayerState(ws=self.styles(z), noise=tuple(noise))

    def layer(self, index: int, state: LayerState) -> LayerState:
        """Layer 0: constant; 1 to 7: doubling blocks; 8: to RGB."""
        if index == 0:
            h = self._constant(state)
        elif index <= self.depth:
            h = self._block(index, state)
        else:
            h = self._to_rgb(state)
        return LayerState(h=h, ws=state.ws, noise=state.noise)

    def _scale(self, state: LayerState, prefix: str, which: int) -> Tensor:
        """The style scale (B, C, 1, 1) that style input number ``which`` gives."""
        assert state.ws is not None
        weight, bias = self._get(f"{prefix}.style.weight"), self._get(f"{prefix}.style.bias")
        return F.linear(state.ws[:, which], weight, bias)[..., None, None]

    def _constant(self, state: LayerState) -> Tensor:
        h = self._get("constant") * self._scale(state, "0", 0)
        h = F.conv2d(h, self._get("0.weight"), self._get("0.bias"), padding=1)
        return F.leaky_relu(h + state.noise[0], 0.2)

    def _block(self, index: int, state: LayerState) -> Tensor:
        assert state.h is not None
        first = 3 * index - 2
        h = inverse_haar(state.h * self._scale(state, f"{index}.up", first))
        for j in (1, 2):
            prefix = f"{index}.conv{j}"
            h = h * self._scale(state, prefix, first + j)
            depthwise = self._get(f"{prefix}.depthwise")
            h = F.conv2d(h, depthwise, padding=1, groups=depthwise.shape[0])
            h = F.conv2d(h, self._get(f"{prefix}.pointwise"), self._get(f"{prefix}.bias"))
            h = F.leaky_relu(h + state.noise[2 * index - 2 + j], 0.2)
        return h

    def _to_rgb(self, state: LayerState) -> Tensor:
        assert state.h is not None
        h = state.h * self._scale(state, "rgb", self.num_ws - 1)
        return inverse_haar(F.conv2d(h, self._get("rgb.weight"), self._get("rgb.bias")))


def inverse_haar(h: Tensor) -> Tensor:
    r"""One level of the orthonormal inverse Haar transform: (B, 4C, H, W) -> (B, C, 2H, 2W).

    The first C channels are the averages; then come, for each output channel, the differences
    along rows' direction (vertical), columns' (horizontal) and both. With bands a, v, h, d:
    ``x[2i+p, 2j+q] = (a + (-1)^p v + (-1)^q h + (-1)^(p+q) d) / 2``.

    >>> x = torch.randn(1, 8, 4, 4)
    >>> bool((inverse_haar(x).square().sum() - x.square().sum()).abs() < 1e-3)
    True
    """
    batch, channels, height, width = h.shape
    quarter = channels // 4
    average = h[:, :quarter]
    vertical, horizontal, both = h[:, quarter:].reshape(batch, quarter, 3, height, width).unbind(2)
    top, bottom = average + vertical, average - vertical
    across_top, across_bottom = horizontal + both, horizontal - both
    mixed = torch.stack(
        [top + across_top, top - across_top, bottom + across_bottom, bottom - across_bottom], 2
    )
    return F.pixel_shuffle(mixed.reshape(batch, channels, height, width) / 2, 2)


def tensors_from_ir(mapping: Mapping[str, Tensor], synthesis: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by our names from the constants of the two OpenVINO files of ``random-face``.

    Style scales of convolutions carry a constant gain, folded here into their weight and bias.
    The numbers in the names are those of the published, hash-pinned export.
    """
    tensors: dict[str, Tensor] = {"constant": synthesis["m.input.input"]}

    def style(ours: str, theirs: str, fan_in: int | None) -> None:
        gain = 1.0 if fan_in is None else fan_in**-0.5
        tensors[f"{ours}.style.weight"] = synthesis[f"{theirs}.modulation.weight"] * gain
        tensors[f"{ours}.style.bias"] = synthesis[f"{theirs}.modulation.bias"].flatten() * gain

    for i in range(MAPPING_DEPTH):
        tensors[f"mapping.{i}.weight"] = mapping[str(173 + 4 * i)]
        tensors[f"mapping.{i}.bias"] = mapping[str(174 + 4 * i)]
    tensors["0.weight"] = synthesis["Mul_39_copy"]
    tensors["0.bias"] = synthesis["m.conv1.bias"].flatten()
    tensors["noise.0"] = synthesis["1531"]
    style("0", "m.conv1.conv", fan_in=tensors["0.weight"][0].numel())
    depth = sum(key.endswith(".up.modulation.weight") for key in synthesis)
    for i in range(depth):
        style(f"{i + 1}.up", f"m.layers.{i}.up", fan_in=None)
        for j, (product, noise) in enumerate([(106, 1560), (139, 1572)], start=1):
            ours, theirs = f"{i + 1}.conv{j}", f"m.layers.{i}.conv{j}"
            depthwise = synthesis[f"{theirs}.conv.weight_dw"].squeeze(1)
            style(ours, f"{theirs}.conv", fan_in=depthwise.numel())
            tensors[f"{ours}.depthwise"] = depthwise
            tensors[f"{ours}.pointwise"] = synthesis[f"Mul_{product + 100 * i}_copy"]
            tensors[f"{ours}.bias"] = synthesis[f"{theirs}.bias"].flatten()
            tensors[f"noise.{2 * i + j}"] = synthesis[str(noise + 41 * i)]
    last = f"m.layers.{depth - 1}.to_img"
    tensors["rgb.weight"] = synthesis[f"{last}.conv.weight"]
    tensors["rgb.bias"] = synthesis[f"{last}.bias"].flatten()
    style("rgb", f"{last}.conv", fan_in=tensors["rgb.weight"].shape[1])
    return tensors
