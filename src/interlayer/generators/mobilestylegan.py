"""MobileStyleGAN (arXiv 2104.04767), a wavelet student of StyleGAN2 with 8 million weights.

Layer 0 is a 3x3 convolution of a learned constant; layers 1 to 7 double the size by a style-scaled
inverse Haar transform and two depthwise-separable convolutions; layer 8 predicts twelve wavelet
bands and transforms them to RGB. Style scales act on activations and the published weights carry
the demodulation, so a batch is one convolution.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators import modulation
from interlayer.generators.base import LayerState
from interlayer.generators.layout import Shape, compare_shapes, linear_shapes
from interlayer.generators.styles import StyleGenerator

MAPPING_DEPTH = 8


class MobileStyleGAN(StyleGenerator):
    """Generator built from the tensors of one weights file (see `tensors_from_ir`).

    ``z`` (B, 23, 512) is the whitened style space of `StyleGenerator`.

    Args:
        tensors: weights by name.
        name: name of the generator in results.
        precision: type of the activations above 32 px, ``torch.float32`` or ``torch.bfloat16``;
            styles, the image and the small blocks stay in float32.

    Reference: Belousov, MobileStyleGAN, arXiv 2104.04767.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        name: str = "faces",
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.name, self.precision = name, precision
        self.depth = sum(key.endswith(".up.style.weight") for key in tensors)
        self.num_layers = self.depth + 2
        self.num_ws = 1 + 3 * self.depth + 1
        self.resolution = tensors["constant"].shape[-1] * 2 ** (self.depth + 1)
        self.latent_shape = (self.num_ws, tensors["mapping.0.weight"].shape[1])
        self.z_dim = self.latent_shape[1]
        self.hold({key: in_order_of_use(value) for key, value in tensors.items()})
        if "latent.mean" not in tensors:
            self.measure_latent()

    mapping_depth = MAPPING_DEPTH

    def start(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """Return the state before layer 0; ``noise`` replaces the fixed maps (1 or B, 1, H, W)."""
        if noise is None:
            noise = [self._get(f"noise.{i}") for i in range(1 + 2 * self.depth)]
        return LayerState(ws=self.styles(z), noise=tuple(noise))

    def layer(self, index: int, state: LayerState) -> LayerState:
        """Apply the constant's convolution (layer 0), a doubling block, or the map to RGB."""
        if index == 0:
            h = self._constant(state)
        elif index <= self.depth:
            h = self._block(index, state)
        else:
            h = self._to_rgb(state)
        return LayerState(h=h, ws=state.ws, noise=state.noise)

    def _scale(self, state: LayerState, prefix: str, which: int) -> Tensor:
        """Style scale (B, C) of style input number ``which``."""
        assert state.ws is not None
        return self.scale(prefix, state.ws[:, which])

    def _constant(self, state: LayerState) -> Tensor:
        scale = self._scale(state, "0", 0)
        h = self._get("constant").expand(len(scale), -1, -1, -1)
        h = modulation.convolve(h, self._get("0.weight"), scale)
        return F.leaky_relu(h + self._get("0.bias")[:, None, None] + state.noise[0], 0.2)

    def _block(self, index: int, state: LayerState) -> Tensor:
        assert state.h is not None
        first, dtype = 3 * index - 2, self._dtype(index)
        h = state.h.to(dtype, memory_format=torch.channels_last)
        scale = self._scale(state, f"{index}.up", first)
        haar = inverse_haar_matrix(h.shape[1] // 4).to(h.device)
        h = modulation.shuffle(modulation.mix_channels(h, haar, scale))
        for j in (1, 2):
            prefix = f"{index}.conv{j}"
            scale = self._scale(state, prefix, first + j)
            h = modulation.convolve(h, self._get(f"{prefix}.depthwise"), scale, groups=h.shape[1])
            pointwise, bias = self._get(f"{prefix}.pointwise"), self._get(f"{prefix}.bias")
            h = F.conv2d(h, pointwise.to(dtype), bias.to(dtype))
            # In place: the convolution's backward pass does not need its output.
            h = F.leaky_relu(h.add_(state.noise[2 * index - 2 + j].to(dtype)), 0.2, inplace=True)
        return h

    def _to_rgb(self, state: LayerState) -> Tensor:
        assert state.h is not None
        scale = self._scale(state, "rgb", self.num_ws - 1)
        haar = inverse_haar_matrix(3).to(state.h.device)
        weight, bias = haar @ self._get("rgb.weight").flatten(1), haar @ self._get("rgb.bias")
        bands = modulation.mix_channels(state.h, weight, scale).float()
        return modulation.shuffle(bands + bias[:, None, None])


def in_order_of_use(weight: Tensor) -> Tensor:
    """Put a kernel, but no other tensor, in channels-last order."""
    is_kernel = weight.ndim == 4 and weight.shape[0] > 1
    return modulation.channels_last(weight) if is_kernel else weight


def check_shapes(shapes: Mapping[str, Shape]) -> None:
    """Refuse tensors that are not those of a `MobileStyleGAN`.

    Raises:
        InputError: if a tensor is missing, unknown or of the wrong shape; the sentence names it.
    """
    (w_dim,) = shapes.get("mapping.0.bias", (0,))[:1] or (0,)
    widths = [shapes.get("0.bias", (0,))]
    while f"{len(widths)}.conv2.bias" in shapes:
        widths.append(shapes[f"{len(widths)}.conv2.bias"])
    expected, optional = expected_shapes([sum(width) for width in widths], w_dim)
    compare_shapes(shapes, expected, optional)


def expected_shapes(widths: Sequence[int], w_dim: int) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Shapes of required and of optional tensors, for the widths of layer 0 and of the blocks."""
    shapes: dict[str, Shape] = {"constant": (1, widths[0], 4, 4), "noise.0": (1, 1, 4, 4)}
    shapes |= {"0.weight": (widths[0], widths[0], 3, 3), "0.bias": (widths[0],)}
    shapes |= linear_shapes("0.style", w_dim, widths[0])
    optional: dict[str, Shape] = {"latent.mean": (w_dim,), "latent.std": (w_dim,)}
    for i in range(MAPPING_DEPTH):
        shapes |= linear_shapes(f"mapping.{i}", w_dim, w_dim)
    for i, (before, width) in enumerate(zip(widths[:-1], widths[1:], strict=True), start=1):
        shapes |= linear_shapes(f"{i}.up.style", w_dim, before)
        for j, inputs in ((1, before // 4), (2, width)):
            shapes |= linear_shapes(f"{i}.conv{j}.style", w_dim, inputs)
            shapes[f"{i}.conv{j}.depthwise"] = (inputs, 1, 3, 3)
            shapes[f"{i}.conv{j}.pointwise"] = (width, inputs, 1, 1)
            shapes[f"{i}.conv{j}.bias"] = (width,)
            shapes[f"noise.{2 * i + j - 2}"] = (1, 1, 4 * 2**i, 4 * 2**i)
    for i, width in enumerate(widths, start=1):
        optional[f"statistics.{i}"] = (width, 1, 1)
    shapes |= {"rgb.weight": (12, widths[-1], 1, 1), "rgb.bias": (12,)}
    return shapes | linear_shapes("rgb.style", w_dim, widths[-1]), optional


@functools.cache
def inverse_haar_matrix(channels: int) -> Tensor:
    r"""Matrix (4C, 4C) of one level of the orthonormal inverse Haar transform at one place.

    Its inputs are C averages, then for each output channel the vertical, the horizontal and the
    diagonal difference; its outputs are the C channels of the pixel at (0, 0), then (0, 1), (1, 0)
    and (1, 1), as `modulation.shuffle` takes them. With bands a, v, h, d:
    ``x[p, q] = (a + (-1)^p v + (-1)^q h + (-1)^(p+q) d) / 2``.

    >>> matrix = inverse_haar_matrix(3)
    >>> torch.equal(matrix @ matrix.mT, torch.eye(12))
    True
    """
    signs = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2
    each = torch.einsum("pb,ck->pcbk", signs, torch.eye(channels)).flatten(0, 1)
    average, differences = each[:, 0], each[:, 1:].mT.flatten(1)
    return torch.cat([average, differences], 1)


def tensors_from_ir(
    mapping: Mapping[str, Tensor], synthesis: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Rename the constants of the two OpenVINO files of ``random-face`` to our tensors.

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
