"""Measurements of an image as a file of plain data, with what makes their operator again."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from deepinv.physics import Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.files import replacing
from interlayer.problem.tasks import make_physics, masks_of, runs_code


@dataclass(frozen=True)
class Measurements:
    """Measurements of one image with what is needed to build their operator again.

    Attributes:
        y: (1, ...) measurements.
        task: the task's name and level.
        seed: that the operator was made with.
        img_size: (3, H, W) of the image.
        masks: the mask pictures of its ``mask:FILE`` parts by the names of their files.
    """

    y: Tensor
    task: str
    seed: int
    img_size: tuple[int, ...]
    masks: Mapping[str, Tensor] = field(default_factory=dict)

    def physics(self) -> Physics:
        """The operator that made them."""
        return make_physics(self.task, self.img_size, self.seed, masks=self.masks)

    def save(self, path: Path) -> None:
        """Write tensors and plain values only, for ``torch.load(path, weights_only=True)``."""
        with replacing(path) as temporary:
            plain = {"img_size": list(self.img_size), "masks": dict(self.masks)}
            torch.save(vars(self) | plain, temporary)


def measure(x: Tensor, task: str, seed: int) -> tuple[Measurements, Physics]:
    """Measure an image (1, 3, H, W) as a task says; the same seed measures the same."""
    img_size = tuple(x.shape[1:])
    physics = make_physics(task, img_size, seed)
    return Measurements(physics(x), task, seed, img_size, masks_of(physics)), physics


def load_measurements(path: Path) -> Measurements:
    """Read what `Measurements.save` wrote; only tensors and plain values are ever unpacked.

    Raises:
        InputError: if the file is missing, is not such a file, its values do not fit together, or
            its task would run code.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a measurements.pt that recover has written")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        y, task, masks = stored["y"], str(stored["task"]), dict(stored["masks"])
        if not all(isinstance(tensor, Tensor) for tensor in (y, *masks.values())):
            raise TypeError("measurements and masks are tensors")
        made = Measurements(y, task, int(stored["seed"]), tuple(stored["img_size"]), masks)
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ):
        raise InputError(
            f"{path} is not a measurements file; give a measurements.pt that recover has written"
        ) from None
    if runs_code(task):
        raise InputError(
            f"{path} names an operator in a Python file, which is not run for a file's sake; "
            "build the operator in Python and call solve"
        )
    return made
