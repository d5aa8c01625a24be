"""Converted weights: ``.safetensors`` files whose metadata say what they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.files import replacing

FORMAT = "interlayer-weights-1"


def write_converted(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and metadata to ``path``, which is replaced as a whole and readable by all.

    Args:
        path: file to write.
        tensors: tensors by name; the file holds each in memory order of its own.
        metadata: texts by name; the entry ``format`` is added.

    Raises:
        InputError: if the file cannot be written.
    """
    whole = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    try:
        with replacing(path) as partial:
            save_file(whole, partial, metadata={"format": FORMAT, **metadata})
            partial.chmod(0o644)
    except SafetensorError as error:  # its own word for what the file system refuses
        raise InputError(
            f"cannot write {path}: {error}; make room or choose another place"
        ) from None
