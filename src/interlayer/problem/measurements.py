"""Measuring an image as a task says, and measurements as files of plain data."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.files import replacing
from interlayer.problem.problem import Problem
from interlayer.problem.tasks import Task, make_physics, runs_code, tensors_of

LARGEST = 2**14  # pixels on a side of an image that measurements may be of


def measure(x: Tensor, task: str, seed: int) -> Problem:
    """Measure images (B, 3, H, W) as a task says; the same seed gives the same measurements.

    Raises:
        InputError: as for `make_physics`.

    >>> measure(torch.rand(1, 3, 16, 16), "superres:4+denoise:0.1", seed=0)
    Problem(superres:4+denoise:0.1, y=(1, 3, 4, 4), noise known)
    """
    img_size = tuple(x.shape[1:])
    physics = make_physics(task, img_size, seed)
    y = physics(x.cpu()).to(x.device)  # random numbers are the same on every device
    of_task = Task(task, img_size, seed, tensors_of(physics))
    return Problem(physics.to(x.device), y, task=of_task)


_UNREADABLE = (  # what torch.load raises for files that are damaged or of another kind
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    OSError,
    KeyError,
    IndexError,
    OverflowError,
    TypeError,
    ValueError,
    AttributeError,
)


def _stored_task(stored: Mapping[str, Any]) -> Task:
    """The task that a file of measurements names; raises unless every value is of its kind."""
    text, seed, size, masks = (stored[name] for name in ("task", "seed", "img_size", "masks"))
    whole = all(isinstance(n, int) and 0 < n <= LARGEST for n in size) and len(size) == 3
    tensors = all(isinstance(tensor, Tensor) for tensor in masks.values())
    if not (isinstance(text, str) and isinstance(seed, int) and whole and tensors):
        raise TypeError("no task")
    if not 0 <= seed < 2**63:
        raise ValueError("no seed")
    return Task(text, tuple(size), seed, dict(masks))


def save_problem(problem: Problem, path: Path) -> None:
    """Write the measurements of a task, tensors and plain values only, for `load_problem`.

    Raises:
        ValueError: if the problem was not made from a task, so that no file could make its operator
            again.
    """
    task = problem.task
    if task is None:
        raise ValueError("only the measurements of a task can be saved")
    plain = {
        "y": problem.y,
        "task": task.text,
        "seed": task.seed,
        "img_size": list(task.img_size),
        "masks": dict(task.tensors),
    }
    content = io.BytesIO()
    torch.save(plain, content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def load_problem(path: Path) -> Problem:
    """Read what `save_problem` wrote; only tensors and plain values are ever unpacked.

    Raises:
        InputError: if the file is missing or of another kind, its values do not fit together, or
            its task would run code.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a measurements.pt that recover has written")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        y, task = stored["y"], _stored_task(stored)
        if not isinstance(y, Tensor):
            raise TypeError("measurements are a tensor")
    except _UNREADABLE:
        raise InputError(
            f"{path} is not a measurements file; give a measurements.pt that recover has written"
        ) from None
    if runs_code(task.text):
        raise InputError(
            f"{path} names an operator in a Python file, which is not run for a file's sake; "
            "build the operator in Python and call solve"
        )
    return Problem(task.physics(), y, task=task)
