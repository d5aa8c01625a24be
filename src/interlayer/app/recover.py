"""What `interlayer recover` does with each photo, once its flags are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deepinv.physics import Physics
from rich.progress import TaskID
from torch import Tensor

from interlayer.app.console import INTERRUPTED, progress_bar, say, watched
from interlayer.app.results import keep_known as put_back
from interlayer.app.results import report, write_results
from interlayer.generators import Generator
from interlayer.media.faces import Square
from interlayer.media.faces import align as align_face
from interlayer.media.faces import paste_back as lay_back
from interlayer.media.images import read_image, write_image
from interlayer.media.samples import sample_photo
from interlayer.media.video import Frames, write_video
from interlayer.problem.fidelity import LOSSES
from interlayer.problem.measurements import Measurements, measure
from interlayer.recipes.damaged_photos import read_measured
from interlayer.recipes.films import Film, recover_sequence
from interlayer.solver.by_name import reconstruct
from interlayer.solver.records import Solution, State

SAMPLE = "sample:"


@dataclass(frozen=True)
class Job:
    """One photo (or stored measurements), how it is treated and where its results go."""

    name: str
    folder: Path
    task: str
    method: str
    quality: str
    steps: int | None
    seed: int
    holdout: float
    loss: str
    samples: int
    keep_known: bool
    measured: bool
    align: bool
    face: int
    paste_back: bool
    as_json: bool


def recover_one(job: Job, model: Generator, stored: Measurements | None) -> None:
    """Measure, recover and write one photo."""
    x, photo, square = None, None, None
    if job.measured:
        size = (model.channels, model.resolution, model.resolution)
        stored = read_measured(Path(job.name), job.task, size, job.seed, note=say)
    if stored is None:
        x, photo, square = open_photo(job, model.resolution)
        stored, physics = measure(x, job.task, job.seed)
    else:
        physics = stored.physics()
    if job.keep_known:
        put_back(stored.y, stored.y, physics)  # refuses before the work, not after it
    solution, frames, interrupted = run_with_bar(job, stored.y, physics, model)
    if job.keep_known:
        kept, several = put_back(solution.x_hat, stored.y, physics), solution.samples
        if several is not None:
            several = put_back(several, stored.y, physics)
        solution = replace(solution, x_hat=kept, samples=several)
    result = {
        "task": stored.task,
        "method": job.method,
        "seed": job.seed,
        "generator": model.name,
        "precision": str(model.precision).removeprefix("torch."),
        "holdout": job.holdout,
        "loss": job.loss,
        "samples": job.samples,
        "square": None if square is None else [[c.real, c.imag] for c in square.corners],
        **report(solution, x, interrupted),
    }
    write_results(job.folder, stored, physics, solution, x, result, frames)
    if job.paste_back and photo is not None and square is not None:
        write_image(job.folder / "pasted.png", lay_back(photo, square, solution.x_hat))
    if job.as_json:
        print(json.dumps(result))
    quality = "" if x is None else f" at {result['psnr']:.2f} dB"
    say(f"{job.name}: recovered{quality} in {solution.seconds:.0f} s; pictures in {job.folder}")
    if interrupted:
        say("interrupted: what was written is the best estimate so far")
        sys.exit(INTERRUPTED)


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


def run_with_bar(
    job: Job, y: Tensor, physics: Physics, model: Generator
) -> tuple[Solution, list[Tensor], bool]:
    """Run the method on a problem; see `watched`."""
    fidelity = None
    if job.loss != "auto":
        loss = LOSSES[job.loss](physics)
        fidelity = lambda predicted, y, weight, x: loss(predicted, y, weight)  # noqa: E731
    states = reconstruct(
        physics,
        y,
        model,
        job.method,
        quality=job.quality,
        steps=job.steps,
        seed=job.seed,
        holdout=job.holdout,
        fidelity=fidelity,
        samples=job.samples,
    )
    return watched(states)


def open_photo(job: Job, size: int) -> tuple[Tensor, Tensor | None, Square | None]:
    """A photo or a sample as (1, 3, size, size); if aligned, also the whole and the square."""
    cut = None if job.align else size
    if job.name.startswith(SAMPLE):
        photo = sample_photo(job.name.removeprefix(SAMPLE), cut)
    else:
        photo = read_image(Path(job.name), cut, note=say)
    if not job.align:
        return photo, None, None
    x, square = align_face(photo, size, job.face)
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
