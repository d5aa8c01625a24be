"""What `interlayer imagine` does: draw a class that a classifier knows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from interlayer.app.console import INTERRUPTED, say, watched
from interlayer.app.options import Generators, Label
from interlayer.app.results import GIF_SIZE
from interlayer.generators import Generator
from interlayer.media.files import writable_folder, write_text
from interlayer.media.images import contact_sheet, read_image, write_gif, write_image
from interlayer.methods.presets import csgm
from interlayer.networks.classifiers import load_classifier
from interlayer.problem.tasks import make_physics
from interlayer.recipes.imagining import (
    class_probability,
    drawn,
    imagine_pixels,
    perceptual_distance,
    towards_class,
)
from interlayer.recipes.imagining import imagine as draw_towards
from interlayer.solver.records import Solution
from interlayer.solver.solving import iterate
from interlayer.weights import loading


def imagine_class(
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
    model = loading.load(generator, label=label, note=say)
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
