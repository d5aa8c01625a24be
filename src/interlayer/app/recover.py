"""The command `interlayer recover`: its work on each photo, once its flags are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.progress import TaskID
from torch import Tensor

from interlayer.app.approach import Approach
from interlayer.app.console import INTERRUPTED, progress_bar, say, watched
from interlayer.app.rerun import record_of
from interlayer.app.results import report, write_results
from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.media.faces import Square, align, paste_back
from interlayer.media.images import read_image, write_image
from interlayer.media.samples import SAMPLE, sample_photo
from interlayer.media.video import Frames, write_video
from interlayer.problem.measurements import load_problem, measure
from interlayer.problem.problem import Problem
from interlayer.recipes.damaged_photos import (
    Reading,
    misfit_of,
    misfit_sentence,
    read_measured,
)
from interlayer.recipes.films import Film, recover_sequence
from interlayer.recipes.saving import load_solution, save_solution
from interlayer.solver.records import GeneratorPoint, Samples, Solution, State

POINT = "solution.safetensors"


@dataclass(frozen=True)
class Recovery:
    """Settings of the recovery of photos, or of stored measurements.

    Attributes:
        task: task that measures a photo, or has measured it.
        approach: method and settings of its recovery.
        measured: whether the photos are what the task measures.
        keep_known: whether measured pixels are put back.
        reading: how photo files are read.
        paste_back: whether the recovered face is laid into the photo.
        as_json: whether the figures are printed.
        arguments: flags that were given, as JSON holds them.
    """

    task: str
    approach: Approach
    measured: bool = False
    keep_known: bool = False
    reading: Reading = Reading()
    paste_back: bool = False
    as_json: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


def refuse_misfits(recovery: Recovery, of_sequence: bool) -> None:
    """Refuse flags that do not go together.

    Raises:
        InputError: one sentence that says which.
    """
    reading, approach = recovery.reading, recovery.approach
    aligns = reading.face is not None
    if recovery.paste_back and not aligns:
        raise InputError("only an aligned face can be pasted back; add --align")
    if (reading.meaning or reading.white) and not recovery.measured:
        raise InputError("--mask-is and --white are for photos that are --measured already")
    if approach.prior is not None and approach.method != "sgilo":
        raise InputError(f"--prior is for --method sgilo, not for {approach.method}")
    if approach.start is not None and approach.samples > 1:
        raise InputError("--continue goes on from one point; leave out --samples")
    photos_only = (
        approach.prior is not None
        or approach.unaligned
        or aligns
        or recovery.keep_known
        or approach.loss != "auto"
        or approach.samples > 1
    )
    if of_sequence and photos_only:
        raise InputError(
            "--align, --unaligned, --keep-known, --loss, --samples and --prior are for photos, not "
            "for a --sequence"
        )


def recover_one(
    name: str, folder: Path, recovery: Recovery, model: Generator, stored: Problem | None = None
) -> None:
    """Measure, recover and write one photo.

    Args:
        name: file of the photo, ``sample:NAME``, or a name for the measurements.
        folder: place for its results.
        recovery: settings of the recovery.
        model: the prior.
        stored: measurements to recover from instead.
    """
    x, photo, square, approach = None, None, None, recovery.approach
    if recovery.measured:
        size = (model.channels, model.resolution, model.resolution)
        problem, photo, square = read_measured(
            Path(name), recovery.task, size, approach.seed, say, recovery.reading
        )
    elif stored is not None:
        problem = stored
    else:
        x, photo, square = open_photo(name, model.resolution, recovery.reading.face)
        problem = measure(x, recovery.task, approach.seed)
    if recovery.keep_known:
        problem.with_known(problem.y)  # refuses before the work, not after it
    solution, animation, interrupted = watched(approach.states(problem, model))
    solution = solution.to("cpu")
    if recovery.keep_known:
        solution = _with_known(solution, problem)
    result = {
        **approach.header(problem, model),
        "square": None if square is None else [[c.real, c.imag] for c in square.corners],
        **report(solution, x, interrupted),
        "misfit": misfit_of(problem, solution.x_hat),
        "run": record_of(recovery.arguments, name, problem, model),
    }
    write_results(folder, problem, solution, x, result, animation)
    if recovery.arguments.get("keep_point"):
        save_solution(solution, folder / POINT)
    if recovery.paste_back and photo is not None and square is not None:
        write_image(folder / "pasted.png", paste_back(photo, square, solution.x_hat))
    if recovery.as_json:
        print(json.dumps(result))
    quality = "" if x is None else f" at {result['psnr']:.2f} dB"
    if problem.approximate and (sentence := misfit_sentence(problem, solution.x_hat)):
        say(sentence)
    say(f"{name}: recovered{quality} in {solution.seconds:.0f} s; pictures in {folder}")
    if interrupted:
        say("interrupted: what was written is the best estimate so far")
        sys.exit(INTERRUPTED)


def point_in(folder: Path | None) -> GeneratorPoint | None:
    """The point that a recovery reached, to go on from.

    Raises:
        InputError: if there is a folder that has none.
    """
    if folder is None:
        return None
    if not (folder / POINT).is_file():
        raise InputError(f"{folder} holds no {POINT}; recover with --keep-point to go on later")
    point = load_solution(folder / POINT).point
    if point is None:
        raise InputError(f"{folder} is of a method without a generator, which has no point")
    return point


def source_of(
    photos: Sequence[str] | None,
    measurements: Path | None,
    sequence: Path | None,
    go_on: Path | None,
) -> list[str]:
    """Names of what is recovered, of which there is one kind.

    Raises:
        InputError: if there is none, or there are several.
    """
    if bool(photos) + bool(measurements) + bool(sequence) + bool(go_on) != 1:
        raise InputError(
            "give photos, --measurements FILE, --sequence PATH or --continue DIR, and not two of "
            "them"
        )
    return list(photos or [str(measurements or sequence or go_on)])


def stored_problem(file: Path | None, folder: Path | None, task: str | None) -> Problem | None:
    """Measurements from a file or a results folder, which must be those of the task, if given.

    Raises:
        InputError: if the file is bad or of another task.
    """
    file = folder / "measurements.pt" if folder else file
    if file is None:
        return None
    problem = load_problem(file)
    made = problem.task
    if task is not None and made is not None and task != made.text:
        raise InputError(
            f"{file} was measured by {made.text}, not by {task}; leave out --task, or give the "
            "photo itself"
        )
    return problem


def recover_film(frames: Frames, film: Film, model: Generator, folder: Path) -> None:
    """Recover a sequence with one bar per frame, and write it as a video."""
    bars: dict[int, TaskID] = {}
    with progress_bar() as bar:

        def watch(number: int, state: State) -> None:
            if number not in bars:
                method = film.following if number else film.method
                bars[number] = bar.add_task(f"frame {number}", total=method.steps, loss="")
            bar.update(bars[number], advance=1, loss=f"{state.loss.mean().item():.5f}")

        try:
            pictures = list(recover_sequence(frames, film, model, folder, watch))
        except KeyboardInterrupt:
            bar.stop()
            say(f"interrupted: the same command goes on where it stopped; frames are in {folder}")
            sys.exit(INTERRUPTED)
    write_video(folder / "recovered.mp4", map(read_image, pictures), frames.fps)
    write_video(folder / "recovered.gif", map(read_image, pictures), frames.fps)
    say(f"{len(pictures)} frames are recovered; the video is {folder / 'recovered.mp4'}")


def open_photo(
    name: str, size: int, face: int | None
) -> tuple[Tensor, Tensor | None, Square | None]:
    """A photo or a sample as (1, 3, size, size); if aligned, also the whole and the square."""
    cut = size if face is None else None
    if name.startswith(SAMPLE):
        photo = sample_photo(name.removeprefix(SAMPLE), cut)
    else:
        photo = read_image(Path(name), cut, note=say)
    if face is None:
        return photo, None, None
    x, square = align(photo, size, face)
    return x, photo, square


def folders(out: Path, names: Sequence[str]) -> list[Path]:
    """One results folder per photo, numbered where two photos share a stem."""
    chosen: list[Path] = []
    for name in names:
        stem = Path(name.removeprefix(SAMPLE)).stem
        folder, number = out / stem, 2
        while folder in chosen:
            folder, number = out / f"{stem}-{number}", number + 1
        chosen.append(folder)
    return chosen


def _with_known(solution: Solution, problem: Problem) -> Solution:
    """The solution with the measured pixels put back, in all of its samples too."""
    samples = solution.samples
    if samples is not None:
        samples = Samples(problem.with_known(samples.images))
    return replace(solution, x_hat=problem.with_known(solution.x_hat), samples=samples)
