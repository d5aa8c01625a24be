"""Handlers of what a visitor does on the page."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
from PIL import Image

from interlayer.app.approach import Approach
from interlayer.app.demo import pictures, view
from interlayer.app.demo.choices import DAMAGES, MASK_FILE, PAINT, task_of
from interlayer.app.demo.run import Ending, Order, Update, fulfil
from interlayer.errors import InputError
from interlayer.generators import Generator

EXAMPLE = "Example: the astronaut Eileen Collins (photo: NASA)."
FAILED = "Something went wrong in the program; its log says what."
Outputs = tuple[Any, ...]

logger = logging.getLogger(__name__)


class Handlers:
    """The page's reactions; a visitor's state is in the arguments, except for running recoveries.

    Args:
        generator: the prior.
        name: name of the generator on the command line.
        max_seconds: time in seconds after which a recovery is stopped.
    """

    def __init__(self, generator: Generator, name: str, max_seconds: float) -> None:
        self.generator, self.name, self.max_seconds = generator, name, max_seconds
        self.running: dict[str, Event] = {}

    def example(self) -> Outputs:
        """Picture, painter and sentence of the sample photo."""
        return _shown(pictures.example(self.generator.resolution), EXAMPLE)

    def drawn(self, seed: float) -> Outputs:
        """Picture, painter and sentence of a picture that the generator draws."""
        number = int(seed or 0)
        try:
            picture = pictures.drawn(self.generator, number)
        except InputError as error:
            return gr.skip(), gr.skip(), _alert(error)
        return _shown(picture, f"Drawn by the generator, number {number}.")

    def photo(self, file: str) -> Outputs:
        """Picture, painter and sentence of an upload, and what the upload area is to show."""
        try:
            return *_shown(*pictures.framed(Path(file), self.generator.resolution)), None
        except InputError as error:
            return gr.skip(), gr.skip(), _alert(error), None
        finally:
            _forget(Path(file))

    def damage(self, name: str) -> Outputs:
        """Slider and painter for a damage."""
        return gr.Slider(**slider(name)), gr.HTML(painting=name == PAINT)

    def stop(self, request: gr.Request) -> None:
        """End the visitor's run, if there is one."""
        event = self.running.get(str(request.session_hash))
        if event is not None:
            event.set()

    def recover(
        self,
        picture: Image.Image,
        strokes: Sequence[Sequence[float]],
        damage: str,
        level: float,
        method: str,
        quality: str,
        seed: float,
        samples: float,
        request: gr.Request,
    ) -> Iterator[Outputs]:
        """Status, picture, downloads and the stop button at every step of a run."""
        session, event = str(request.session_hash), Event()
        self.running[session] = event
        size = self.generator.resolution
        idle = gr.Button(interactive=False)
        try:
            painted = {MASK_FILE: pictures.painted_mask(strokes, size)} if damage == PAINT else {}
            task = task_of(damage, level, size)
            approach = Approach(method, quality, seed=int(seed or 0), samples=int(samples))
            steps = fulfil(
                Order(picture, task, approach, painted),
                self.generator,
                self.name,
                stopped=event.is_set,
                max_seconds=self.max_seconds,
            )
            for step in steps:
                if isinstance(step, Update):
                    yield "", view.live(step), "", gr.Button(interactive=True)
                else:
                    ending = self._ending(step, event.is_set())
                    yield "", view.compared(step, ending), view.downloads(step), idle
        except InputError as error:
            yield _alert(error), "", "", idle
        except Exception:  # the visitor learns that something failed, the log what it was
            logger.exception("a recovery failed")
            yield view.note(FAILED, alert=True), "", "", idle
        finally:
            self.running.pop(session, None)

    def _ending(self, ending: Ending, stopped: bool) -> str:
        """The reason why a run ended before its time; empty if it did not."""
        if not ending.result["interrupted"]:
            return ""
        return "you stopped it" if stopped else f"its {self.max_seconds:g} s were over"


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
    return picture, gr.HTML(picture=view.picture_url(picture), value=[]), view.note(sentence)


def _alert(error: InputError) -> str:
    return view.note(f"Sorry: {error}.", alert=True)


def _forget(upload: Path) -> None:
    """Remove an upload that has been read, and the empty files that gradio makes beside them."""
    upload.unlink(missing_ok=True)
    for other in upload.parent.parent.glob("tmp*"):
        if other.is_file() and other.stat().st_size == 0:
            other.unlink(missing_ok=True)
