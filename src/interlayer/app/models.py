"""Generators as the command line asks for them."""

from __future__ import annotations

import torch

from interlayer.app.console import say
from interlayer.app.options import NumberType
from interlayer.generators import Generator
from interlayer.weights import loading


def open_model(
    name: str, label: int | None, device: str, precision: NumberType | None
) -> Generator:
    """Load the generator of the flags; raises as `load`."""
    wanted = None if precision is None else getattr(torch, precision.value)
    return loading.load(name, device, label=label, precision=wanted, note=say)
