"""Films: every frame starts where the one before it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.media.files import replacing, write_text
from interlayer.media.images import write_image
from interlayer.methods.stages import Method
from interlayer.problem.measurements import measure
from interlayer.solver.records import Solution, State
from interlayer.solver.solving import iterate

Watch = Callable[[int, State], None]
SETTINGS, LAST = "sequence.json", "last-{:06d}.safetensors"


@dataclass(frozen=True)
class Film:
    """How a sequence is recovered.

    Attributes:
        task: how every frame is measured; the operator is the same for all.
        method: of the first frame.
        frame_steps: of every later one, all at the method's last layer and within its ball around
            the input that the frame before reached.
        seed: of everything random.
        holdout: fraction of the measurements that judge.
    """

    task: str
    method: Method
    frame_steps: int = 30
    seed: int = 0
    holdout: float = 0.1

    @property
    def following(self) -> Method:
        """The method of every frame but the first."""
        last = replace(self.method.stages[-1], steps=self.frame_steps)
        return replace(self.method, stages=(last,))


def recover_sequence(
    frames: Iterable[Tensor], film: Film, generator: Generator, folder: Path, watch: Watch
) -> Iterator[Path]:
    """Recover frames (1, 3, H, W) one after another; yields the picture of each.

    A run that was interrupted goes on where it stopped: pictures that are there are not made again.

    Args:
        frames: of the generator's size.
        film: how they are measured and recovered.
        generator: the prior.
        folder: for ``measured`` and ``recovered`` pictures, and what the next frame starts from.
        watch: called with the frame's number and every `State`.

    Raises:
        InputError: if the folder holds a sequence of other settings.
    """
    _claim(folder, film, generator)
    solution: Solution | None = None
    for number, x in enumerate(frames):
        picture = folder / "recovered" / f"{number:06d}.png"
        if picture.exists():
            yield picture
            continue
        made, physics = measure(x, film.task, film.seed)
        start = solution or (_read_last(folder, number - 1, film) if number else None)
        steps = iterate(
            physics,
            made.y,
            generator,
            film.following if start else film.method,
            seed=film.seed,
            holdout=film.holdout,
            start=start,
        )
        state = None
        for state in steps:
            watch(number, state)
        assert state is not None
        solution = state.solution()
        _write_last(folder, number, solution)
        write_image(picture, solution.x_hat)
        (folder / LAST.format(number - 1)).unlink(missing_ok=True)
        yield picture


def _claim(folder: Path, film: Film, generator: Generator) -> None:
    """Note the settings in the folder, or compare with those noted there."""
    settings = {
        "task": film.task,
        "method": repr(film.method),
        "frame_steps": film.frame_steps,
        "seed": film.seed,
        "holdout": film.holdout,
        "generator": generator.name,
    }
    (folder / "recovered").mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS
    if not path.exists():
        write_text(path, json.dumps(settings, indent=2) + "\n")
    elif json.loads(path.read_text("utf-8")) != settings:
        raise InputError(f"{folder} holds a sequence of other settings; choose another folder")


def _write_last(folder: Path, number: int, solution: Solution) -> None:
    """Keep what the next frame starts from."""
    tensors = {"x_hat": solution.x_hat, "z": solution.z, "h": solution.h, "rgb": solution.rgb}
    held = {name: value.contiguous() for name, value in tensors.items() if value is not None}
    with replacing(folder / LAST.format(number)) as partial:
        save_file(held, partial)


def _read_last(folder: Path, number: int, film: Film) -> Solution | None:
    """The solution of a frame, if it is still there; else the next one starts afresh."""
    try:
        held = load_file(folder / LAST.format(number))
    except (SafetensorError, OSError):
        return None
    layer = film.method.stages[-1].layer
    return Solution.at(held["x_hat"], held["z"], held.get("h"), held.get("rgb"), layer)
