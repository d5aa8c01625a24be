"""The command `interlayer imagine`: draw a class that a classifier knows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from interlayer.app.console import INTERRUPTED, say, watched
from interlayer.app.models import open_model
from interlayer.app.options import Device, Generators, Label, Precision
from interlayer.generators import Generator
from interlayer.media.files import writable_folder, write_text
from interlayer.media.images import contact_sheet, read_image, write_image
from interlayer.methods.presets import csgm
from interlayer.networks.classifiers import load_classifier
from interlayer.problem.measurements import measure
from interlayer.recipes.imagining import (
    TRUNCATION,
    ClassifierPhysics,
    Near,
    class_probability,
    imagine,
    imagine_pixels,
    perceptual_distance,
    towards_class,
)
from interlayer.solver.records import GeneratorPoint, Settings
from interlayer.solver.solving import iterate
from interlayer.weights.loading import present


def imagine_class(
    target: Annotated[
        str, typer.Option("--class", help='Name of the class, such as "bull frog", or its number.')
    ],
    near: Annotated[str | None, typer.Option(help="A photo to stay close to.")] = None,
    weight: Annotated[float, typer.Option(min=0, help="Weight of --near.")] = 20,
    classifier: Annotated[
        str, typer.Option(help="imagenet, or a checkpoint of MadryLab's robustness library.")
    ] = "imagenet",
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("imagined"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the face to start from.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Number of steps in all.")] = 72,
    generator: Generators = "faces",
    label: Label = None,
    device: Device = "cpu",
    precision: Precision = None,
) -> None:
    """Draw a class that a classifier knows with a generator that never saw it.

    The classifier is not a robust one, so its gradients are averaged over random views. A high
    probability alone means little: the same steps on bare pixels reach it too, and are shown.
    """
    writable_folder(out)
    judge = load_classifier(classifier, note=say).to(present(device))
    judge.index(target)
    model = open_model(generator, label, device, precision)
    photo = None if near is None else read_image(Path(near), model.resolution, note=say).to(device)
    start = _start(photo, model, seed)
    closeness = None if photo is None else Near(photo, weight, perceptual_distance())
    method = towards_class(steps).within(model.num_layers)
    settings = Settings(seed, start=start)
    states = imagine(
        model, ClassifierPhysics(judge), target, method=method, near=closeness, settings=settings
    )
    solution, animation, interrupted = watched(states)
    first = start.image(model)
    images = {
        "start": first,
        "imagined": solution.x_hat,
        "pixels": imagine_pixels(ClassifierPhysics(judge), first, target, steps=method.steps),
    }
    chances = {name: class_probability(judge, x, target).item() for name, x in images.items()}
    result = {"class": target, "probability": chances, "seed": seed, "interrupted": interrupted}
    panels = [(f"{name}\n{100 * chances[name]:.1f} %", x.cpu()) for name, x in images.items()]
    if closeness is not None:
        result["distance"] = closeness.distance(solution.x_hat, closeness.x).item()
        panels.insert(0, ("photo", closeness.x.cpu()))
    write_image(out / "imagined.png", solution.x_hat)
    write_image(out / "comparison.png", contact_sheet(panels))
    animation.write(out / "progress.gif", solution.x_hat)
    write_text(out / "result.json", json.dumps(result, indent=2) + "\n")
    say(f"{target}: from {chances['start']:.4f} to {chances['imagined']:.4f}; pictures in {out}")
    if interrupted:
        sys.exit(INTERRUPTED)


def _start(photo: Tensor | None, model: Generator, seed: int) -> GeneratorPoint:
    """The face that a seed draws, or the one nearest to a photo, all pixels of which are known."""
    if photo is None:
        return GeneratorPoint(model.sample([seed], TRUNCATION))
    say("first, the image of the generator that comes nearest to the photo")
    everything = measure(photo, "inpaint:1", seed=0)
    solution, _, interrupted = watched(iterate(everything, model, csgm().within(model.num_layers)))
    if interrupted:
        raise KeyboardInterrupt
    assert solution.point is not None
    return solution.point
