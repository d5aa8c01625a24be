"""StyleGAN2 tensors of other projects under our names, with their run-time gains folded in."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from interlayer.generators.layout import Shape

_BLOCKS = 11
_MAPPING_LAYERS = 32
_PARTS = ("weight", "bias")


def nvidia_names() -> dict[str, str]:
    """Map tensors' names in NVIDIA's PyTorch generators, as far as there may be any, to ours."""
    names = {"synthesis.b4.const": "constant", "mapping.w_avg": "mapping.mean"}
    for part in _PARTS:
        names[f"mapping.embed.{part}"] = f"mapping.embed.{part}"
        for i in range(_MAPPING_LAYERS):
            names[f"mapping.fc{i}.{part}"] = f"mapping.{i}.{part}"
    for size in (4 * 2**i for i in range(_BLOCKS)):
        theirs = f"synthesis.b{size}"
        names[f"{theirs}.skip.weight"] = f"{size}.skip.weight"
        for layer, ours in (("conv0", "conv0"), ("conv1", "conv1"), ("torgb", "rgb")):
            for part in _PARTS:
                names[f"{theirs}.{layer}.{part}"] = f"{size}.{ours}.{part}"
                names[f"{theirs}.{layer}.affine.{part}"] = f"{size}.{ours}.style.{part}"
        for layer in ("conv0", "conv1"):
            names[f"{theirs}.{layer}.noise_const"] = f"{size}.{layer}.noise"
            names[f"{theirs}.{layer}.noise_strength"] = f"{size}.{layer}.strength"
    return names


def rosinality_names() -> dict[str, str]:
    """Map tensors' names in rosinality's generators, as far as there may be any, to ours."""
    names = {"input.input": "constant", "latent_avg": "mapping.mean"}
    for part in _PARTS:
        for i in range(_MAPPING_LAYERS):
            names[f"style.{i + 1}.{part}"] = f"mapping.{i}.{part}"
    names |= _rosinality_convolution("conv1", "4.conv1") | _rosinality_image_term("to_rgb1", 4)
    names["noises.noise_0"] = "4.conv1.noise"
    for block in range(1, _BLOCKS):
        size = 4 * 2**block
        names |= _rosinality_image_term(f"to_rgbs.{block - 1}", size)
        for j in (0, 1):
            index = 2 * block - 2 + j
            names |= _rosinality_convolution(f"convs.{index}", f"{size}.conv{j}")
            names[f"noises.noise_{index + 1}"] = f"{size}.conv{j}.noise"
    return names


def _rosinality_convolution(theirs: str, ours: str) -> dict[str, str]:
    styles = {f"{theirs}.conv.modulation.{part}": f"{ours}.style.{part}" for part in _PARTS}
    return styles | {
        f"{theirs}.conv.weight": f"{ours}.weight",
        f"{theirs}.activate.bias": f"{ours}.bias",
        f"{theirs}.noise.weight": f"{ours}.strength",
    }


def _rosinality_image_term(theirs: str, size: int) -> dict[str, str]:
    styles = {f"{theirs}.conv.modulation.{part}": f"{size}.rgb.style.{part}" for part in _PARTS}
    return styles | {
        f"{theirs}.conv.weight": f"{size}.rgb.weight",
        f"{theirs}.bias": f"{size}.rgb.bias",
    }


def fit_shape(name: str, shape: Shape) -> Shape:
    """Drop or add dimensions of size one, as our tensor of that name has them.

    >>> fit_shape("8.conv0.weight", (1, 64, 32, 3, 3)), fit_shape("4.conv1.noise", (4, 4))
    ((64, 32, 3, 3), (1, 1, 4, 4))
    """
    if name.endswith("strength"):
        dimensions = 0
    elif name.endswith(("bias", "mean")):
        dimensions = 1
    else:
        dimensions = 2 if "mapping" in name or "style" in name else 4
    while len(shape) > dimensions and shape[0] == 1:
        shape = shape[1:]
    while len(shape) > dimensions and shape[-1] == 1:
        shape = shape[:-1]
    return (1,) * (dimensions - len(shape)) + shape


def fold_gains(
    tensors: Mapping[str, Tensor], mapping_rate: float, scaled_convolutions: bool
) -> dict[str, Tensor]:
    """Fold the factors in that weights are scaled by whenever they are used.

    Both projects store weights of unit variance and multiply them by ``1 / sqrt(fan_in)``, the
    mapping network's and its biases by the learning rate multiplier too. The scale of an image
    term's 1x1 weights is folded into its styles. Demodulation cancels that of 3x3 weights but
    for its epsilon, so they are scaled only where the project does.

    Args:
        tensors: tensors by our names, in our shapes.
        mapping_rate: learning rate multiplier of the mapping network.
        scaled_convolutions: whether the project scales 3x3 weights.
    """
    folded = {}
    for name, value in tensors.items():
        value = value.to(torch.float32)
        gain = 1.0
        if name.endswith(("style.weight", "embed.weight", "skip.weight")):
            gain = value.shape[1] ** -0.5
        elif name.startswith("mapping.") and name.endswith("weight"):
            gain = mapping_rate * value.shape[1] ** -0.5
        elif name.startswith("mapping.") and name.endswith("bias") and "embed" not in name:
            gain = mapping_rate
        elif value.ndim == 4 and value.shape[2:] == (3, 3) and scaled_convolutions:
            gain = value[0].numel() ** -0.5
        if ".rgb.style." in name:
            gain *= value.shape[0] ** -0.5
        folded[name] = value * gain
    return folded
