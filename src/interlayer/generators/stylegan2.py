"""StyleGAN2 (arXiv 1912.04958) in plain PyTorch, for inference and for optimising its inputs.

Written from the paper. A checkpoint's gains are folded into its weights when it is read, styles
scale activations rather than weights (see `modulation`), and weights are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators import modulation
from interlayer.generators.base import LayerState, gaussian_by_seed
from interlayer.generators.layout import Layout
from interlayer.generators.styles import StyleGenerator, check_label

ROOT_HALF = 0.5**0.5
ROOT_TWO = 2**0.5


class StyleGAN2(StyleGenerator):
    r"""Generator built from tensors by our names (see `Layout.shapes`).

    Layer ``i`` is one resolution block, 4·2^i px: the constant and one convolution at layer 0, an
    up-convolution and a convolution after it, each with what the block adds to the image. A cut
    between them carries the activation and the running image, which is all that the next block
    reads. A cut inside a block would carry the same activation one convolution earlier, at the
    same size: a search over layers gains nothing from it.

    ``z`` (B, num_ws, w_dim) is the whitened style space of `StyleGenerator`. A block's image term
    shares its style with the next block's first convolution: ``num_ws = 2 log2(resolution) - 2``.

    Args:
        tensors: weights by name, in the layout that `Layout.infer` finds in them.
        conv_clamp: bound on the absolute value of activations and image terms, if any.
        label: class to draw, for class-conditional weights.
        precision: type of the activations above 32 px, ``torch.float32`` or ``torch.bfloat16``.
            Styles, the image and the small blocks, which cost little and whose rounding errors
            all later blocks would carry on, stay in float32.
        name: name of the generator in results.

    Raises:
        InputError: if tensors are missing, unknown or of the wrong shape, or a class is needed or
            does not exist.

    Reference: Karras et al., Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020.

    >>> from interlayer.generators.layout import Layout
    >>> layout = Layout(channels=(8, 8, 4), z_dim=8, mapping=(8, 8))
    >>> G = StyleGAN2(layout.random_tensors(seed=0))
    >>> G(G.sample([0])).shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        conv_clamp: float | None = None,
        label: int | None = None,
        precision: torch.dtype = torch.float32,
        name: str = "stylegan2",
    ) -> None:
        super().__init__()
        self.layout = Layout.infer({key: tuple(value.shape) for key, value in tensors.items()})
        self.name, self.conv_clamp, self.precision = name, conv_clamp, precision
        self.resolution, self.num_layers = self.layout.resolution, len(self.layout.channels)
        self.channels = self.layout.colours
        self.num_ws, self.z_dim = 2 * self.num_layers, self.layout.z_dim
        self.latent_shape = (self.num_ws, self.layout.w_dim)
        self.mapping_depth, self.num_classes = len(self.layout.mapping), self.layout.num_classes
        self.label = check_label(label, self.num_classes)
        self.hold({key: value.detach().clone() for key, value in tensors.items()})
        self.register_buffer("blur", modulation.binomial_filter())
        self._prepare_convolutions()
        self.complete_latent()

    def _prepare_convolutions(self) -> None:
        """Sum squares for demodulation, and put kernels in the memory order of their use."""
        for i in range(self.num_layers):
            for conv in self.layout.convolutions(i):
                weight = self._get(f"{conv}.weight")
                squares = weight.square().sum((2, 3))
                self.register_buffer(f"{conv}.squares".replace(".", "_"), squares)
                if conv.endswith("conv0"):
                    weight = weight.transpose(0, 1)
                kernel = modulation.channels_last(weight)
                self.register_buffer(f"{conv}.weight".replace(".", "_"), kernel)

    def noise_maps(
        self, mode: Literal["const", "random", "none"] = "const", seeds: Sequence[int] = ()
    ) -> tuple[Tensor, ...]:
        """Return noise maps to `start` from: the checkpoint's, ones drawn by seed, or zeros.

        There is one (1 or B, 1, H, W) for each convolution, of unit variance; the weights hold
        their strengths.
        """
        if not self.layout.noise:
            return ()
        names = [c for i in range(self.num_layers) for c in self.layout.convolutions(i)]
        fixed = tuple(self._get(f"{name}.noise") for name in names)
        if mode == "const":
            return fixed
        if mode == "none":
            return tuple(torch.zeros_like(n) for n in fixed)
        values = gaussian_by_seed(seeds, (sum(n.numel() for n in fixed),)).to(fixed[0])
        parts = values.split([n.numel() for n in fixed], 1)
        return tuple(p.reshape(-1, *n.shape[1:]) for p, n in zip(parts, fixed, strict=True))

    def start(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """Return the state before layer 0; ``noise`` replaces the maps, one per convolution."""
        return self.start_from_styles(self.styles(z), noise)

    def start_from_styles(self, ws: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """Return the state before layer 0 for style codes (B, num_ws, w_dim)."""
        return LayerState(ws=ws, noise=self.noise_maps() if noise is None else tuple(noise))

    def layer(self, index: int, state: LayerState) -> LayerState:
        """Apply one resolution block, and add its term to the image."""
        assert state.ws is not None
        output = self.layout.output
        h = self._get("constant").expand(len(state.ws), -1, -1, -1) if index == 0 else state.h
        assert h is not None
        h = before = h.to(self._dtype(index), memory_format=torch.channels_last)
        for conv in self.layout.convolutions(index):
            residual = output == "resnet" and index and conv.endswith("conv1")
            h = self._convolution(h, conv, state, ROOT_HALF if residual else 1.0)
        if output == "resnet" and index:
            h = h + self._shortcut(before, index)
        rgb = None if state.rgb is None else modulation.double(state.rgb, self._get("blur"))
        if output == "skip" or index == self.num_layers - 1:
            term = self._to_rgb(h, index, state.ws[:, 2 * index + 1])
            rgb = term if rgb is None else rgb + term
        return LayerState(h=h, ws=state.ws, noise=state.noise, rgb=rgb)

    def _convolution(self, h: Tensor, conv: str, state: LayerState, gain: float) -> Tensor:
        """Compute ``gain √2 lrelu(d conv(s h) + noise + b)``, the factors within the lrelu."""
        assert state.ws is not None
        position = self.layout.position(conv)
        gain *= ROOT_TWO
        scale = self.scale(conv, state.ws[:, position])
        factor = gain * modulation.demodulation(scale, self._get(f"{conv}.squares"))
        weight = self._get(f"{conv}.weight")
        if conv.endswith("conv0"):
            h = modulation.convolve_up(h, weight, scale, self._get("blur"))
        else:
            h = modulation.convolve(h, weight, scale)
        noise = None
        if self.layout.noise:
            noise = (state.noise[position] * (gain * self._get(f"{conv}.strength"))).to(h.dtype)
        bias = gain * self._get(f"{conv}.bias")[:, None, None]
        h = modulation.activate(h, factor[..., None, None].to(h.dtype), noise, bias.to(h.dtype))
        return self._clamp(h, gain / ROOT_TWO)

    def _clamp(self, h: Tensor, gain: float = 1.0) -> Tensor:
        if self.conv_clamp is None:
            return h
        return h.clamp(-gain * self.conv_clamp, gain * self.conv_clamp)

    def _to_rgb(self, h: Tensor, index: int, w: Tensor) -> Tensor:
        """Term of the block in the image, in float32."""
        prefix = f"{4 * 2**index}.rgb"
        rgb = modulation.mix_channels(
            h, self._get(f"{prefix}.weight").flatten(1), self.scale(prefix, w)
        )
        return self._clamp(rgb.float() + self._get(f"{prefix}.bias")[:, None, None])

    def _shortcut(self, h: Tensor, index: int) -> Tensor:
        """Residual path: a 1x1 convolution, then a doubling, times ``√½``."""
        weight = ROOT_HALF * self._get(f"{4 * 2**index}.skip.weight")
        return modulation.double(F.conv2d(h, weight.to(h.dtype)), self._get("blur"))
