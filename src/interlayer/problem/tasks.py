"""Task names such as ``circulant:0.01``, by which the command line and the benchmarks measure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from deepinv.physics import Denoising, Physics
from deepinv.physics.noise import ZeroNoise
from torch import Tensor

from interlayer.errors import InputError
from interlayer.problem.catalogue import NOISES, OPERATORS, TASKS, Part, quantiser
from interlayer.problem.facts import picture_size
from interlayer.problem.linear import chain
from interlayer.problem.masks import inpainting

__all__ = ["TASKS", "inpainting", "make_physics", "runs_code", "split_task", "tensors_of"]

_NAMES = {form.partition(":")[0] for form in TASKS}
_CODE = re.compile(r".+\.py:\w+", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Task:
    """A task by its name, with all that is needed to make its operator again.

    Attributes:
        text: names and levels, as `make_physics` takes them.
        img_size: shape (3, H, W) of the image.
        seed: seed of everything random in the operator.
        tensors: tensors that its parts were made of, such as the masks of ``mask:FILE``, keyed by
            the name of the file.
    """

    text: str
    img_size: tuple[int, ...]
    seed: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def physics(self) -> Physics:
        """The operator, made again."""
        return make_physics(self.text, self.img_size, self.seed, tensors=self.tensors)


def make_physics(
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    *,
    tensors: Mapping[str, Tensor] | None = None,
) -> Physics:
    """Build the forward operator of a task as deepinv physics: ``y = physics(x)``.

    Tasks are joined by ``+`` and act from left to right: operators, then at most one noise, then
    at most one quantiser, as in ``superres:8+denoise:0.1`` or ``circulant:0.05+quantize:1``. The
    first has the seed itself and the others seeds derived from it and their place, so their random
    parts are independent. Noise depends on the seed and the image, never on the batch.

    Args:
        task: names and levels; `TASKS` lists the forms.
        img_size: shape (3, H, W) of the images in [0, 1] that it takes.
        seed: seed of everything random in it: mask, filter, rows, noise.
        tensors: tensors from `tensors_of`, so that files are not read again.

    Raises:
        InputError: if a task is unknown, its level is out of range, or it cannot stand where it
            does.

    >>> import torch
    >>> make_physics("superres:4+denoise:0.1", (3, 16, 16))(torch.rand(2, 3, 16, 16)).shape
    torch.Size([2, 3, 4, 4])
    """
    texts = split_task(task)
    names = [_name_and_level(text)[0] for text in texts]
    count = sum(name in OPERATORS for name in names)
    _check_order(texts, names, count)
    size, operators = tuple(img_size), list[Physics]()

    def part(place: int) -> Part:
        return Part(*_name_and_level(texts[place]), size, _derived(seed, place), tensors or {})

    for place in range(count):
        if place:
            size = _picture_for(texts, place, operators[-1], size)
        operators.append(OPERATORS[names[place]](part(place)))
    last = operators.pop() if operators else Denoising(ZeroNoise(), img_size=size)
    for place in range(count, len(texts)):
        if names[place] in NOISES:
            last.noise_model = NOISES[names[place]](part(place), last)
        else:
            last.sensor_model = quantiser(part(place), last)
    return chain(*operators, last)


def split_task(task: str) -> list[str]:
    """The parts of a task; the name of a picture file in it may hold plus signs and colons.

    >>> split_task("mask:a+b.png+denoise:0.1")
    ['mask:a+b.png', 'denoise:0.1']
    """
    parts: list[str] = []
    for piece in task.split("+"):
        if (
            parts
            and parts[-1].startswith(("mask:", "deblur:"))
            and piece.partition(":")[0] not in _NAMES
        ):
            parts[-1] += "+" + piece
        else:
            parts.append(piece)
    return parts


def runs_code(task: str) -> bool:
    """Whether making a task runs a Python file, which only its own user may ask for.

    >>> runs_code("superres:4"), runs_code("my_operator.py:make_physics+denoise:0.1")
    (False, True)
    """
    return any(_CODE.fullmatch(part) for part in split_task(task))


def tensors_of(physics: Physics) -> dict[str, Tensor]:
    """The tensors from files that a task's operator was made of, keyed by name."""
    made: dict[str, Tensor] = {}
    for module in physics.modules():
        made |= getattr(module, "made_of", {})
    return made


def _name_and_level(text: str) -> tuple[str, str]:
    """The name and the level of a part; for an operator of the user's, all of it is the level."""
    if _CODE.fullmatch(text):
        return "FILE.py", text
    name, _, level = text.partition(":")
    if name not in _NAMES or name == "FILE.py":
        raise InputError(f"there is no task {text!r}; use one of {', '.join(TASKS)}")
    return name, level


def _check_order(texts: list[str], names: list[str], count: int) -> None:
    """Refuse anything but operators, at most one noise, at most one quantiser; jpeg ends it all."""
    kinds = [0 if name in OPERATORS else 1 if name in NOISES else 2 for name in names]
    for before, after in zip(range(len(texts)), range(1, len(texts)), strict=False):
        repeated = kinds[after] == kinds[before] > 0
        if kinds[after] < kinds[before] or repeated or names[before] == "jpeg":
            raise InputError(
                f"{texts[after]!r} cannot follow {texts[before]!r}: give operators first, then at "
                "most one noise, then at most one quantize, and nothing after jpeg"
            )


def _picture_for(
    texts: list[str], place: int, before: Physics, size: tuple[int, ...]
) -> tuple[int, ...]:
    """The size of the picture that the operator at ``place`` is given by the one before it."""
    picture = picture_size(before, size)
    if picture is None:
        raise InputError(
            f"{texts[place]!r} cannot follow {texts[place - 1]!r}, which measures no picture; "
            "put it first"
        )
    return picture


def _derived(seed: int, place: int) -> int:
    """The seed of a part: the task's own at the first place, unrelated ones after it."""
    if place == 0:
        return seed
    words = np.random.SeedSequence((seed % 2**64, place)).generate_state(1, np.uint64)
    return int(words[0] >> 1)
