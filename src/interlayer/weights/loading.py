"""Generators by the name of their weights, or from a file."""

from __future__ import annotations

from pathlib import Path

import torch

from interlayer.errors import InputError
from interlayer.generators.base import Generator
from interlayer.weights.cache import Note, load_tensors, to_stderr
from interlayer.weights.checkpoints import load_generator
from interlayer.weights.precision import precision_here
from interlayer.weights.table import WEIGHTS, Weights


def load(
    name_or_file: str | Path,
    device: str = "cpu",
    *,
    label: int | None = None,
    precision: torch.dtype | None = None,
    note: Note = to_stderr,
) -> Generator:
    """Load a generator by the name of its weights, pulled on first use, or from a file.

    Args:
        name_or_file: name of a generator in ``WEIGHTS``, or a file that `load_generator` reads.
        device: device of the generator.
        label: class to draw, for a file of class-conditional weights.
        precision: type of large activations, ``torch.float32`` or ``torch.bfloat16``; by default
            the one that a short trial found to be fastest on this machine (see `precision_here`).
        note: function that is called with one line about each thing done.

    Raises:
        InputError: if there is neither such a name nor such a file, it is of no generator, a label
            is missing or out of place, or the machine has no such device.

    >>> load("cats")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: no generator 'cats'; give faces, faces64 or the file of a ...
    """
    weights = WEIGHTS.get(str(name_or_file))
    device = present(device)
    if weights is not None and weights.build is not None:
        if label is not None:
            raise InputError(f"{weights.name} draws no classes; leave out the label")
        generator = weights.build(load_tensors(weights.name, device, note), weights.name)
    elif weights is None and Path(name_or_file).is_file():
        generator = load_generator(name_or_file, label=label, note=note).to(device)
    else:
        raise InputError(_no_generator(name_or_file, weights))
    generator.precision = precision or precision_here(device)
    return generator


def present(device: str) -> str:
    """Return the name of a device.

    Raises:
        InputError: if this machine has none of that name.

    >>> present("tpu")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: PyTorch finds no device 'tpu' on this machine; give cpu
    """
    try:
        torch.empty(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"PyTorch finds no device '{device}' on this machine; give cpu") from None
    return device


def _no_generator(name_or_file: str | Path, weights: Weights | None) -> str:
    """Say in one sentence why there is no such generator."""
    problem = f"no generator '{name_or_file}'"
    if weights is not None:
        problem = f"'{weights.name}' is {weights.summary}, and no generator"
    names = ", ".join(name for name, each in WEIGHTS.items() if each.build is not None)
    return f"{problem}; give {names} or the file of a generator"
