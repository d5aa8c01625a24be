"""Reads weight files as data; nothing in a file is ever run."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import torch
from torch import Tensor

from interlayer.errors import InputError


def read_openvino_ir(xml: bytes, raw: bytes) -> dict[str, Tensor]:
    """Every float32 constant of an OpenVINO IR model, by layer name.

    Args:
        xml: the text of the ``.xml`` file (topology).
        raw: the content of the ``.bin`` file (little-endian buffer of all constants).

    Raises:
        InputError: if the XML does not parse or a constant lies outside the buffer.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise InputError(f"this is not an OpenVINO model: its XML does not parse ({error})") from None
    tensors = {}
    for layer in root.iterfind("./layers/layer[@type='Const']"):
        data = layer.find("data")
        if data is None or data.get("element_type") != "f32":
            continue
        name, offset, size = layer.get("name", ""), int(data.get("offset", 0)), int(data.get("size", 0))
        shape = [int(n) for n in data.get("shape", "").split(",") if n.strip()]
        if not 0 <= offset <= offset + size <= len(raw):
            raise InputError(f"the OpenVINO constant {name!r} lies outside the weights file")
        values = torch.frombuffer(bytearray(raw[offset : offset + size]), dtype=torch.float32)
        tensors[name] = values.reshape(shape)
    return tensors
