"""Named weights: where each comes from, what its licence asks, and how it reaches the cache."""

from __future__ import annotations

from pathlib import Path

import torch

from interlayer.errors import InputError
from interlayer.generators.base import Generator
from interlayer.weights.cache import Note, load_tensors, to_stderr
from interlayer.weights.checkpoints import load_generator
from interlayer.weights.precision import precision_here
from interlayer.weights.table import ARCHITECTURES, WEIGHTS, Weights


def load(
    name_or_file: str | Path,
    device: str = "cpu",
    *,
    label: int | None = None,
    precision: torch.dtype | None = None,
    note: Note = to_stderr,
) -> Generator:
    """The generator of named weights, pulled on first use, or of any file `load_generator` reads.

    Args:
        name_or_file: a name of ``WEIGHTS`` that is a generator, or a file.
        device: where its weights go.
        label: the class to draw, for a file of class-conditional weights.
        precision: of large activations, ``torch.float32`` or ``torch.bfloat16``; by default what a
            short trial found to be fastest on this machine (see `precision_here`).
        note: called with one line about each thing done.

    Raises:
        InputError: if it is neither a name nor a file, what it names is no generator, or a label is
            missing or out of place.

    >>> load("cats")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: no generator 'cats'; give faces, faces64 or the file of a ...
    """
    weights = WEIGHTS.get(str(name_or_file))
    if weights is not None and weights.is_generator:
        if label is not None:
            raise InputError(f"{weights.name} draws no classes; leave out the label")
        tensors = load_tensors(weights.name, device, note)
        generator = ARCHITECTURES[weights.architecture](tensors, weights.name)
    elif weights is None and Path(name_or_file).is_file():
        generator = load_generator(name_or_file, label=label).to(device)
    else:
        raise InputError(_no_generator(name_or_file, weights))
    generator.precision = precision or precision_here(device)
    return generator


def _no_generator(name_or_file: str | Path, weights: Weights | None) -> str:
    """What is wrong, in one sentence."""
    problem = f"no generator '{name_or_file}'"
    if weights is not None:
        problem = f"'{weights.name}' is {weights.summary}, and no generator"
    names = ", ".join(name for name, each in WEIGHTS.items() if each.is_generator)
    return f"{problem}; give {names} or the file of a generator"
