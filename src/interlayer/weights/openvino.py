"""OpenVINO IR, the format in which MobileStyleGAN was published, read as data."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.mobilestylegan import check_shapes, tensors_from_ir


def read_openvino_pair(path: Path) -> dict[str, Tensor]:
    """Read the tensors of `MobileStyleGAN` from its two models, in the folder of ``path``.

    Raises:
        InputError: if a file is missing or damaged, or the models are of another network.
    """
    models = []
    for name in ("MappingNetwork", "SynthesisNetwork"):
        files = [path.with_name(f"{name}.{suffix}") for suffix in ("xml", "bin")]
        if not all(file.is_file() for file in files):
            raise InputError(
                "an OpenVINO generator is the files MappingNetwork and SynthesisNetwork, .xml and "
                f".bin, in one folder, but {name} is not there; copy it beside the other"
            )
        models.append(read_openvino_ir(*(file.read_bytes() for file in files)))
    try:
        tensors = tensors_from_ir(*models)
    except (KeyError, IndexError, RuntimeError) as error:
        raise InputError(f"the OpenVINO models are not MobileStyleGAN's ({error})") from None
    check_shapes({name: tuple(value.shape) for name, value in tensors.items()})
    return tensors


def read_openvino_ir(xml: bytes, raw: bytes) -> dict[str, Tensor]:
    """Read every float32 constant of an OpenVINO IR model, by layer name.

    Args:
        xml: text of the ``.xml`` file (topology).
        raw: content of the ``.bin`` file (little-endian buffer of all constants).

    Raises:
        InputError: if the XML does not parse or a constant lies outside the buffer.
    """
    if b"<!DOCTYPE" in xml:
        raise InputError("this is not an OpenVINO model: its XML declares a document type")
    try:
        root = ElementTree.fromstring(xml)
        layers = [
            (layer.get("name", ""), data)
            for layer in root.iterfind("./layers/layer[@type='Const']")
            for data in layer.iterfind("data[@element_type='f32']")
        ]
        return {name: _constant(name, data, raw) for name, data in layers}
    except (ElementTree.ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the XML does not parse as an OpenVINO model ({error})") from None


def _constant(name: str, data: ElementTree.Element, raw: bytes) -> Tensor:
    offset, size = int(data.get("offset", 0)), int(data.get("size", 0))
    shape = [int(n) for n in data.get("shape", "").split(",") if n.strip()]
    if not 0 <= offset <= offset + size <= len(raw):
        raise InputError(f"the OpenVINO constant {name!r} lies outside the weights file")
    if size != 4 * math.prod(shape) or min(shape, default=0) < 0:
        raise InputError(f"the OpenVINO constant {name!r} has {size} bytes for the shape {shape}")
    values = torch.frombuffer(bytearray(raw[offset : offset + size]), dtype=torch.float32)
    return values.reshape(shape)
