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
from interlayer.solver.records import GeneratorPoint, Settings, State
from interlayer.solver.solving import iterate

Watch = Callable[[int, State], None]
SETTINGS, LAST = "sequence.json", "last-{:06d}.safetensors"


@dataclass(frozen=True)
class Film:
    """Settings of a sequence's recovery.

    Attributes:
        task: task that measures every frame; the operator is the same for all.
        method: method of the first frame.
        frame_steps: number of steps of every later one, all at the method's last layer and within
            its ball around the input that the frame before reached.
        seed: seed of everything random.
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
    """Recover frames (1, 3, H, W) one after another, and yield the path of each picture.

    An interrupted run goes on where it stopped: pictures that exist are not made again.

    Args:
        frames: pictures of the generator's size.
        film: settings of their recovery.
        generator: the prior.
        folder: place for ``recovered`` pictures and what the next frame starts from.
        watch: function that is called with the frame's number and every `State`.

    Raises:
        InputError: if the folder holds a sequence of other settings.
    """
    _claim(folder, film, generator)
    point: GeneratorPoint | None = None
    for number, x in enumerate(frames):
        picture = folder / "recovered" / f"{number:06d}.png"
        if picture.exists():
            yield picture
            continue
        start = point or (_read_last(folder, number - 1, film) if number else None)
        problem = measure(x, film.task, film.seed)
        method = film.following if start else film.method
        state, settings = None, Settings(film.seed, film.holdout, start)
        for state in iterate(problem, generator, method, settings):
            watch(number, state)
        assert state is not None
        solution = state.solution()
        assert solution.point is not None
        point = solution.point
        _write_last(folder, number, point)
        write_image(picture, solution.x_hat)
        (folder / LAST.format(number - 1)).unlink(missing_ok=True)
        yield picture


def _claim(folder: Path, film: Film, generator: Generator) -> None:
    """Note the settings in the folder, or compare with those noted there."""
    settings = {
        "task": film.task,
        "method": film.method.fingerprint,
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


def _write_last(folder: Path, number: int, point: GeneratorPoint) -> None:
    """Keep what the next frame starts from."""
    tensors = {"z": point.z, "h": point.h, "rgb": point.rgb}
    held = {name: value.contiguous() for name, value in tensors.items() if value is not None}
    with replacing(folder / LAST.format(number)) as partial:
        save_file(held, partial)


def _read_last(folder: Path, number: int, film: Film) -> GeneratorPoint | None:
    """Read where a frame ended; ``None`` if that is lost, so that the next one starts afresh."""
    try:
        held = load_file(folder / LAST.format(number))
    except (SafetensorError, OSError):
        return None
    layer = film.method.stages[-1].layer
    return GeneratorPoint(held["z"], held.get("h"), held.get("rgb"), layer)
