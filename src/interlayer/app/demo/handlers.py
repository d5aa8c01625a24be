"""Handlers of what a visitor does with a picture that is to be damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import gradio as gr
from PIL import Image

from interlayer.app.approach import Approach
from interlayer.app.demo import pictures, view
from interlayer.app.demo.choices import DAMAGES, MASK_FILE, PAINT, task_of
from interlayer.app.demo.run import Order, Update, fulfil
from interlayer.app.demo.visits import CLEARED, Outputs, Visits, alert, forget, guarded, why_ended
from interlayer.errors import InputError
from interlayer.generators import Generator

EXAMPLE = "Example: the astronaut Eileen Collins (photo: NASA)."


class Chosen(NamedTuple):
    """Choices of a visitor, in the order of the page's components."""

    picture: Image.Image | None
    strokes: Sequence[Sequence[float]]
    damage: str
    level: float
    method: str
    quality: str
    seed: float | None
    samples: float


class Handlers:
    """The reactions to an experiment; a visitor's state is in the arguments.

    Args:
        generator: the prior.
        name: name of the generator on the command line.
        max_seconds: time in seconds after which a recovery is stopped.
    """

    def __init__(self, generator: Generator, name: str, max_seconds: float) -> None:
        self.generator, self.name, self.max_seconds = generator, name, max_seconds
        self.visits = Visits()

    def example(self) -> Outputs:
        """Picture, painter and sentence of the sample photo, and an empty result."""
        return _shown(pictures.example(self.generator.resolution), EXAMPLE)

    def drawn(self, seed: float) -> Outputs:
        """Picture, painter and sentence of a picture that the generator draws."""
        number = int(seed or 0)
        try:
            picture = pictures.drawn(self.generator, number)
        except InputError as error:
            return _refused(error)
        return _shown(picture, f"Drawn by the generator, number {number}.")

    def photo(self, file: str) -> Outputs:
        """Picture, painter and sentence of an upload, and what the upload area is to show."""
        try:
            return *_shown(*pictures.framed(Path(file), self.generator.resolution)), None
        except InputError as error:
            return *_refused(error), None
        finally:
            forget(Path(file))

    def damage(self, name: str) -> Outputs:
        """Slider and painter for a damage."""
        return gr.Slider(**slider(name)), gr.HTML(painting=name == PAINT)

    def recover(self, chosen: Chosen, request: gr.Request) -> Iterator[Outputs]:
        """Status, picture, downloads and the stop button at every step of a run."""
        with self.visits.run(request) as event:
            yield from guarded(self._panels(chosen, event))

    def _panels(self, chosen: Chosen, event: Event) -> Iterator[Outputs]:
        steps = fulfil(
            self._order(chosen),
            self.generator,
            self.name,
            stopped=event.is_set,
            max_seconds=self.max_seconds,
        )
        for step in steps:
            if isinstance(step, Update):
                yield "", view.live(step), "", gr.Button(interactive=True)
            else:
                ending = why_ended(step.result["interrupted"], event.is_set(), self.max_seconds)
                idle = gr.Button(interactive=False)
                yield "", view.compared(step, ending), view.downloads(step), idle

    def _order(self, chosen: Chosen) -> Order:
        """The recovery that a visitor asks for."""
        if chosen.picture is None:
            raise InputError("there is no picture yet; choose one first")
        size = self.generator.resolution
        painted = {}
        if chosen.damage == PAINT:
            painted = {MASK_FILE: pictures.painted_mask(chosen.strokes, (size, size))}
        approach = Approach(
            chosen.method,
            chosen.quality,
            seed=int(chosen.seed or 0),
            samples=int(chosen.samples),
        )
        task = task_of(chosen.damage, chosen.level, size)
        return Order(chosen.picture, task, approach, painted)


def slider(name: str) -> dict[str, Any]:
    """Arguments of the level's slider for a damage."""
    damage = DAMAGES[name]
    if not damage.level:
        return {"visible": False}  # and nothing else: its value stays, so its range must too
    return {
        "minimum": damage.low,
        "maximum": damage.high,
        "value": damage.default,
        "step": damage.step,
        "label": damage.level,
        "visible": True,
    }


def _shown(picture: Image.Image, sentence: str) -> Outputs:
    """A new picture with nothing painted over it yet."""
    return picture, view.canvas(picture), view.note(sentence), *CLEARED


def _refused(error: InputError) -> Outputs:
    """No picture: the one that was there is not what the sentence is about."""
    return None, view.canvas(None), alert(error), *CLEARED
