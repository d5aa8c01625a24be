"""The command `interlayer train-prior`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from interlayer.app.console import INTERRUPTED, progress_bar, say
from interlayer.app.models import open_model
from interlayer.app.options import Device, Seed
from interlayer.errors import InputError
from interlayer.media.files import writable_folder
from interlayer.recipes.learned_prior import LearnedPrior, load_prior
from interlayer.recipes.training import STEPS, train_prior

SMOOTHING = 0.99


def train_prior_file(
    generator: Annotated[str, Argument(help="Named weights or a weights file.")],
    out: Annotated[Path, Option(help="File for the prior.")] = Path("prior.safetensors"),
    layers: Annotated[str, Option(help="Layers to learn, such as 2,3.")] = "2",
    steps: Annotated[int, Option(min=1, help="Number of steps for each layer.")] = STEPS,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Learn a prior of layers from the generator's own samples, for recover --method sgilo.

    The file grows layer by layer; the same command goes on behind the last finished one.
    """
    wanted = [int(part) for part in layers.split(",") if part.strip().isdecimal()]
    if len(wanted) != layers.count(",") + 1:
        raise InputError(f"--layers is a list of numbers such as 2,3, not {layers!r}")
    if out.suffix != ".safetensors":
        raise InputError(f"{out} must end in .safetensors")
    writable_folder(out.parent)
    model = open_model(generator, None, device, None)
    have = load_prior(out, model) if out.exists() else LearnedPrior({}, model.name)
    with progress_bar() as bar:
        task = bar.add_task("learning", total=len(wanted) * steps, loss="")
        bar.update(task, completed=sum(layer in have.denoisers for layer in wanted) * steps)
        missing = [layer for layer in wanted if layer not in have.denoisers]
        loss = 1.0
        try:
            for state in train_prior(model, missing, steps, seed):
                loss = SMOOTHING * loss + (1 - SMOOTHING) * state.loss
                what = f"layer {state.layer}"
                bar.update(task, advance=1, description=what, loss=f"{loss:.3f}")
                if state.step == steps:
                    have = LearnedPrior({**have.denoisers, **state.prior.denoisers}, model.name)
                    have.save(out)
                    say(f"layer {state.layer}: {loss:.2f} of the error of a Gaussian")
        except KeyboardInterrupt:
            bar.stop()
            say("interrupted: the same command goes on behind the last finished layer")
            sys.exit(INTERRUPTED)
    say(f"{out} knows layers {', '.join(map(str, sorted(have.denoisers)))} of {model.name}")
