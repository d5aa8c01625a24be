"""StyleGAN3 (arXiv 2106.12423) in plain PyTorch, for inference and for optimising its inputs.

Written from the paper. A checkpoint's gains are folded into its weights when it is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import modulation
from interlayer.generators.base import LayerState, LayerStatistics
from interlayer.generators.layout import Shape, compare_shapes, linear_shapes
from interlayer.generators.resampling import Banded, downsampling, upsampling
from interlayer.generators.styles import StyleGenerator, check_label

POSE_STD = (0.1, 0.1, math.radians(10))
PLAN = 5  # up, down, padding before and behind, whether the layer makes the image
MOST_LAYERS, MOST_PIXELS = 64, 4096


class StyleGAN3(StyleGenerator):
    r"""Generator of the configuration T (translation) or R (rotation).

    Layer 0 gives the pose that layer 1 takes: the shift of the picture to the right and downwards,
    in widths of the image, and its anticlockwise rotation in radians, (B, 3); its spread is taken
    to be 0.1 widths and 10 degrees. So `Layer(1)` is a stage that searches the place of a face in a
    photo that is not aligned. Layer 1 makes Fourier features, and each layer behind it convolves,
    rises to a higher rate, rectifies and comes down again, so that no frequency is folded.

    Args:
        tensors: weights by name, see `shapes_of`.
        conv_clamp: bound on the absolute value of activations, if any.
        label: class to draw, for class-conditional weights.
        name: name of the generator in results.

    Raises:
        InputError: if tensors are missing, unknown or of the wrong shape, or a class is needed or
            does not exist.

    Reference: Karras et al., Alias-Free Generative Adversarial Networks, NeurIPS 2021.
    """

    pose_layer = 1

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        *,
        conv_clamp: float | None = None,
        label: int | None = None,
        name: str = "stylegan3",
    ) -> None:
        super().__init__()
        shapes = {key: tuple(value.shape) for key, value in tensors.items()}
        check_shapes(shapes)
        self.depth, self.mapping_depth = count(shapes, "L{}.weight"), count(shapes, MAPPING)
        self.name, self.conv_clamp = name, conv_clamp
        self.num_layers, self.num_ws = self.depth + 2, self.depth + 1
        self.z_dim, w_dim = latent_sizes(shapes)
        self.latent_shape = (self.num_ws, w_dim)
        self.num_classes = shapes.get("mapping.embed.weight", (0, 0))[1]
        self.label = check_label(label, self.num_classes)
        self.hold({key: value.detach().clone() for key, value in tensors.items()})
        kernels = [self._get(f"L{i}.weight") for i in range(self.depth)]
        for i, weight in enumerate(kernels):
            self.register_buffer(f"L{i}_squares", weight.square().sum((2, 3)))
            self.register_buffer(f"L{i}_weight", modulation.channels_last(weight))
        self.channels = kernels[-1].shape[0]
        self._matrices: dict[tuple[object, ...], Banded] = {}
        self.resolution = self._resolution()
        self.complete_latent()

    def _resolution(self) -> int:
        """Height and width of the image, by what each layer does to them.

        Raises:
            InputError: if a layer has nothing left, or more than any image has.
        """
        size, rate, bandwidth = self._get("input.grid").tolist()
        if not (0 < size <= MOST_PIXELS and size == int(size) and 0 < bandwidth < rate / 2 < 1e6):
            raise InputError("the StyleGAN3 generator's input has no possible size, rate and band")
        size = int(size)
        for i in range(self.depth):
            plan = self._get(f"L{i}.plan").tolist()
            if any(p != int(p) or abs(p) > MOST_PIXELS for p in plan) or min(plan[:2]) < 1:
                raise InputError(f"layer L{i} says nothing possible about how it is sampled")
            up, down, before, behind, _ = map(int, plan)
            taps = sum(self._get(f"L{i}.{which}").shape[0] - 1 for which in ("up", "down"))
            risen = (size + self._get(f"L{i}.weight").shape[-1] - 1) * up + before + behind - taps
            size = (risen - 1) // down + 1
            if not (risen > 0 and max(risen, size) <= 4 * MOST_PIXELS):
                raise InputError(f"layer L{i} has nothing left of its input, or far too much")
        return size

    def statistics(self, layer: int) -> LayerStatistics:
        """Return the statistics of the input of a layer; those of a pose are set, not measured."""
        if layer == self.pose_layer:
            return LayerStatistics(torch.tensor(POSE_STD).to(self._get("input.phases")))
        return super().statistics(layer)

    def start(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """Return the state before layer 0; there are no noise maps to replace."""
        return self.start_from_styles(self.styles(z))

    def start_from_styles(self, ws: Tensor) -> LayerState:
        """Return the state before layer 0 for style codes (B, num_ws, w_dim)."""
        return LayerState(ws=ws)

    def layer(self, index: int, state: LayerState) -> LayerState:
        """Apply one layer: the pose, the Fourier features, or a filtered convolution."""
        assert state.ws is not None
        if index == 0:
            h = state.ws.new_zeros(len(state.ws), len(POSE_STD))
        elif index == 1:
            assert state.h is not None
            h = self._features(state.h, state.ws[:, 0])
        else:
            assert state.h is not None
            h = self._filtered(state.h, index - 2, state.ws[:, index - 1])
        return LayerState(h=h, ws=state.ws)

    def image(self, state: LayerState) -> Tensor:
        """Return the image (B, C, H, W) of a state after the last layer; [0, 1] up to overshoot."""
        assert state.h is not None
        return (self._get("output.scale") * state.h + 1) / 2

    def _features(self, pose: Tensor, w: Tensor) -> Tensor:
        """Waves ``a sin(2π (f·p + φ))`` at places p, mixed to channels (B, C, size, size).

        The places are those of the pose, then of the file's own transform, then of the learned one,
        which the style code turns and shifts; waves that it turns beyond the bandwidth fade.
        """
        learned = self.scale("input", w)
        learned = learned / learned[:, :2].norm(dim=1, keepdim=True)
        turned = _affine(learned[:, 0], learned[:, 1], -learned[:, 2:])
        place = turned @ self._get("input.transform") @ _inverse(pose)
        size, rate, bandwidth = self._get("input.grid").tolist()
        waves = self._get("input.freqs") @ place[:, :2, :2]
        phases = self._get("input.phases") + (self._get("input.freqs") @ place[:, :2, 2:])[..., 0]
        fade = 1 - (waves.norm(dim=2) - bandwidth) / (rate / 2 - bandwidth)
        steps = (torch.arange(int(size)).to(w) + 0.5 - size / 2) / rate
        across = torch.einsum("bf,x->bxf", waves[..., 0], steps)[:, None]
        down = torch.einsum("bf,y->byf", waves[..., 1], steps)[:, :, None]
        wave = torch.sin(2 * math.pi * (across + down + phases[:, None, None]))
        mixed = (wave * fade.clamp(0, 1)[:, None, None]) @ self._get("input.weight").T
        return mixed.permute(0, 3, 1, 2)

    def _filtered(self, h: Tensor, index: int, w: Tensor) -> Tensor:
        """Convolve, rise, rectify and come down: ``D √2 lrelu(U (d conv(s h) + b))``."""
        name = f"L{index}"
        up, down, before, behind, makes_image = map(int, self._get(f"{name}.plan").tolist())
        weight, scale = self._get(f"{name}.weight"), self.scale(name, w)
        h = modulation.convolve(h, weight, scale, padding=weight.shape[-1] - 1)
        factor = self._get(f"{name}.gain").expand(len(w), len(weight))
        if not makes_image:
            factor = factor * modulation.demodulation(scale, self._get(f"{name}.squares"))
        h = torch.addcmul(self._get(f"{name}.bias")[:, None, None], h, factor[..., None, None])
        if makes_image:
            return self._clamp(h)
        gain = 2**0.25  # of each axis, √2 together: the rectifier is homogeneous
        rise = self._matrix(name, h, up, (before, behind), gain)
        h = self._clamp(F.leaky_relu(rise(h), 0.2))
        kernel = self._get(f"{name}.down")
        if kernel.ndim == 2:
            kernels = kernel.flip(0, 1).to(h).expand(h.shape[1], 1, -1, -1)
            return F.conv2d(h, kernels, stride=down, groups=h.shape[1])
        return self._matrix(name, h, down)(h)

    def _clamp(self, h: Tensor) -> Tensor:
        return h if self.conv_clamp is None else h.clamp(-self.conv_clamp, self.conv_clamp)

    def _matrix(
        self,
        name: str,
        h: Tensor,
        factor: int,
        padding: tuple[int, int] | None = None,
        gain: float = 1.0,
    ) -> Banded:
        """The matrix of a layer's rise, or without padding of its way down; made once."""
        key = (name, padding, h.shape[-1], h.dtype, h.device)
        if key not in self._matrices:
            line = self._get(f"{name}.down" if padding is None else f"{name}.up").cpu().float()
            if padding is None:
                matrix = downsampling(h.shape[-1], line, factor)
            else:
                matrix = gain * upsampling(h.shape[-1], line, factor, padding)
            self._matrices[key] = Banded(matrix, h)
        return self._matrices[key]


MAPPING = "mapping.{}.weight"


def shapes_of(
    widths: Sequence[int], kernels: Sequence[int], z_dim: int, mapping: Sequence[int]
) -> dict[str, Shape]:
    """Name and shape of every tensor but filters: of the input, then of each layer.

    Args:
        widths: number of channels of the input and of each layer.
        kernels: height and width of each layer's kernels.
        z_dim: size of the Gaussian latent, with that of an embedded class.
        mapping: output width of each layer of the mapping network; the last is ``w_dim``.
    """
    first, w_dim = widths[0], mapping[-1]
    shapes: dict[str, Shape] = {"output.scale": (), "input.grid": (3,), "input.transform": (3, 3)}
    shapes |= {"input.freqs": (first, 2), "input.phases": (first,), "input.weight": (first, first)}
    shapes |= linear_shapes("input.style", w_dim, 4)
    for i, (inputs, outputs) in enumerate(zip([z_dim, *mapping], mapping, strict=False)):
        shapes |= linear_shapes(f"mapping.{i}", inputs, outputs)
    for i, kernel in enumerate(kernels):
        inputs, outputs = widths[i], widths[i + 1]
        shapes[f"L{i}.weight"] = (outputs, inputs, kernel, kernel)
        shapes |= {f"L{i}.bias": (outputs,), f"L{i}.gain": (), f"L{i}.plan": (PLAN,)}
        shapes |= linear_shapes(f"L{i}.style", w_dim, inputs)
    return shapes


def check_shapes(shapes: Mapping[str, Shape]) -> None:
    """Refuse tensors that are missing, unknown or of the wrong shape.

    Raises:
        InputError: one sentence that names the first.
    """
    depth, mapping = count(shapes, "L{}.weight"), count(shapes, MAPPING)
    kernels = [shapes[f"L{i}.weight"] for i in range(depth)]
    if not depth or not mapping or any(len(shape) != 4 for shape in kernels):
        raise InputError("the generator lacks the layers of a StyleGAN3, or they are no kernels")
    codes = [shapes[f"mapping.{i}.weight"] for i in range(mapping)]
    if any(len(shape) != 2 for shape in codes) or not 1 <= kernels[-1][0] <= 4:
        raise InputError("the generator's mapping network is none, or its image has odd channels")
    widths = [kernels[0][1], *(shape[0] for shape in kernels)]
    sizes = [shape[-1] for shape in kernels]
    expected = shapes_of(widths, sizes, codes[0][1], [shape[0] for shape in codes])
    w_dim = codes[-1][0]
    optional: dict[str, Shape] = {"mapping.activation": (2,)}
    optional |= dict.fromkeys(("mapping.mean", "latent.mean", "latent.std"), (w_dim,))
    embed = shapes.get("mapping.embed.weight")
    if embed is not None and len(embed) == 2:
        optional |= linear_shapes("mapping.embed", embed[1], embed[0])
    optional |= {f"statistics.{i + 2}": (widths[i], 1, 1) for i in range(depth)}
    optional["statistics.1"] = (len(POSE_STD),)
    for i in range(depth):
        for which in ("up", "down"):
            shape = shapes.get(f"L{i}.{which}", (1,))
            optional[f"L{i}.{which}"] = shape if len(set(shape)) == 1 else (1,)
    compare_shapes(shapes, expected, optional)


def count(shapes: Mapping[str, Shape], pattern: str) -> int:
    """The number of names ``pattern`` with 0, 1, … that follow each other."""
    names = (pattern.format(i) for i in range(MOST_LAYERS))
    return next((i for i, name in enumerate(names) if name not in shapes), MOST_LAYERS)


def latent_sizes(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    """The sizes of the Gaussian latent and of a style code."""
    embedding = shapes.get("mapping.embed.weight", (0, 0))[0]
    last = count(shapes, MAPPING) - 1
    return shapes["mapping.0.weight"][1] - embedding, shapes[f"mapping.{last}.weight"][0]


def _affine(cosine: Tensor, sine: Tensor, shift: Tensor) -> Tensor:
    """Matrices (B, 3, 3) that shift places, then turn them."""
    one, zero = torch.ones_like(cosine), torch.zeros_like(cosine)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], 1)
    move = torch.stack([one, zero, shift[:, 0], zero, one, shift[:, 1], zero, zero, one], 1)
    return turn.view(-1, 3, 3) @ move.view(-1, 3, 3)


def _inverse(pose: Tensor) -> Tensor:
    """Matrices (B, 3, 3) from places in the posed picture to those in the picture itself."""
    angle = pose[:, 2]
    return _affine(angle.cos(), angle.sin(), -pose[:, :2])
