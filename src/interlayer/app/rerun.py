"""Runs of `interlayer recover` as data: what a run needs to be repeated, and its repetition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from interlayer.app.console import say
from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.media.files import digest
from interlayer.problem.problem import Problem
from interlayer.problem.tasks import runs_code

LIBRARIES = ("interlayer", "torch", "deepinv", "numpy", "pillow")


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of a run as JSON holds them; paths become absolute."""
    return {n: str(v.resolve()) if isinstance(v, Path) else v for n, v in arguments.items()}


def record_of(
    arguments: Mapping[str, Any], name: str, problem: Problem, model: Generator
) -> dict[str, Any]:
    """All that a run needs to be repeated, and to be known again.

    Args:
        arguments: flags, see `plain_arguments`.
        name: the photo, or the measurements.
        problem: the measurements.
        model: the generator.
    """
    file = Path(name)
    if arguments["photos"]:
        arguments = {**arguments, "photos": [str(file.resolve()) if file.is_file() else name]}
    files = sorted(file.glob("*.safetensors")) if arguments["go_on"] else [file]
    if arguments["prior"]:
        files.append(Path(arguments["prior"]))
    return {
        "arguments": arguments,
        "inputs": {str(f.resolve()): digest(f.read_bytes()) for f in files if f.is_file()},
        "measurements": digest(problem.y.cpu().numpy().tobytes()),
        "weights": _of_weights(model),
        "threads": torch.get_num_threads(),
    }


def arguments_again(file: Path, out: Path, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of the run that wrote a ``result.json``, with another folder for the results.

    Args:
        file: the file.
        out: folder for the results.
        flags: type of each flag by its name.

    Raises:
        InputError: if the file is missing or of another kind, it names an operator in a Python
            file, which is not run for a file's sake, or an input of the run has changed.
    """
    run = _read(file)["run"]
    again = _of_their_kinds(file, run["arguments"], flags)
    if runs_code(again["task"] or ""):
        raise InputError(
            f"{file} names an operator in a Python file, which is not run for a file's sake; give "
            "its flags to recover yourself"
        )
    for name, sha256 in run["inputs"].items():
        if not Path(name).is_file():
            raise InputError(f"{name}, from which {file} was made, does not exist any more")
        if digest(Path(name).read_bytes()) != sha256:
            raise InputError(f"{name} has changed since {file} was made; nothing is run again")
    for library, then in _read(file)["versions"].items():
        if library in LIBRARIES and version(library) != then:
            say(f"{library} was {then} and is {version(library)}: the answer may differ")
    torch.set_num_threads(run["threads"])
    return {**again, "out": out}


def say_whether_the_same(first: Path, again: Path) -> None:
    """Compare the files of a run, by their ``result.json``, with those of its repetition."""
    before, after = _read(first)["run"], _read(again)["run"]
    for what in ("weights", "measurements"):
        if before[what] != after[what]:
            say(f"the {what} are others than those of {first}")
    names = ("recovered.png", "measured.png")
    pairs = [(first.parent / name, again.parent / name) for name in names]
    same = all(a.is_file() and a.read_bytes() == b.read_bytes() for a, b in pairs)
    say(f"the pictures are {'the same, byte by byte' if same else 'not the same bytes'}")


def _of_their_kinds(
    file: Path, arguments: Mapping[str, Any], flags: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments, each of which is a flag and of its type."""
    from pydantic import TypeAdapter

    try:
        if arguments.keys() != flags.keys():
            raise ValueError
        return {n: TypeAdapter(kind).validate_python(arguments[n]) for n, kind in flags.items()}
    except ValueError:  # pydantic's are such
        raise InputError(f"{file} holds other flags than recover of this version has") from None


def _read(file: Path) -> dict[str, Any]:
    """What a ``result.json`` says, with the run in it."""
    try:
        found = json.loads(file.read_text("utf-8"))
        run = found["run"]
        arguments, inputs = dict(run["arguments"]), dict(run["inputs"])
        threads = run["threads"]
        known = type(threads) is int and 0 < threads <= 1024
        if not known or "photos" not in arguments or not all(map(str, inputs)):
            raise ValueError
        dict(found["versions"])
    except FileNotFoundError:
        raise InputError(f"{file} does not exist; give a result.json of recover") from None
    except (OSError, KeyError, TypeError, ValueError):
        raise InputError(
            f"{file} does not say how it was made; give a result.json that recover of this version "
            "has written"
        ) from None
    return found


def _of_weights(model: Generator) -> str:
    """SHA-256 of all tensors of a generator, by name."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(
            tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy().tobytes()
        )
    return total.hexdigest()
