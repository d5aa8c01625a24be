"""Handlers of what a visitor does with a photo that is to be restored."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import gradio as gr
import torch

from interlayer.app.demo import restore_view, view
from interlayer.app.demo.restoration import Restored, run_plan
from interlayer.app.demo.run import Update
from interlayer.app.demo.visits import CLEARED, Outputs, Visits, alert, forget, guarded, why_ended
from interlayer.app.demo.wishes import (
    ALL,
    BLURS,
    EXAMPLE_FILE,
    LARGEST,
    NO_PHOTO,
    RESTORED,
    SCRATCHES,
    Wish,
    command,
    dropped,
    plan_of,
    scratches,
    shown,
)
from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.media.images import to_picture
from interlayer.media.photos import Photo
from interlayer.media.samples import sample_photo
from interlayer.problem.blur_level import Blur
from interlayer.recipes.restoring import Findings

EXAMPLE_NOISE, EXAMPLE_QUALITY = 0.05, 70
EXAMPLE = (
    "Example: the astronaut Eileen Collins (photo: NASA), made grey, noisy and small by this page."
)
NOTHING = Findings(faces=(), noise=0.0, blur=Blur("none"), jpeg=False, toned=False, known=None)


class RestoreHandlers:
    """The reactions to a photo; a visitor's state is in the arguments.

    Args:
        generator: the prior.
        name: name of the generator on the command line.
        max_seconds: time in seconds after which a restoration is stopped.
    """

    def __init__(self, generator: Generator, name: str, max_seconds: float) -> None:
        self.generator, self.name, self.max_seconds = generator, name, max_seconds
        self.visits = Visits()

    def example(self) -> Outputs:
        """What a new photo changes: photo, painter, findings, fields and an empty result."""
        return _examined(EXAMPLE_FILE, example_photo(), EXAMPLE)

    def photo(self, file: str) -> Outputs:
        """What a new photo changes, and what the upload area is to show."""
        try:
            return *_examined(Path(file).name, Path(file).read_bytes()), None
        finally:
            forget(Path(file))

    def restore(self, wish: Wish, request: gr.Request) -> Iterator[Outputs]:
        """Status, picture, downloads and the stop button at every step of a run."""
        with self.visits.run(request) as event:
            yield from guarded(self._panels(wish, event))

    def _panels(self, wish: Wish, event: Event) -> Iterator[Outputs]:
        if wish.dropped is None:
            raise InputError(NO_PHOTO)
        photo = wish.dropped.photo()
        plan = plan_of(wish, photo)
        for step in run_plan(photo, plan, self.generator, event.is_set, self.max_seconds):
            if isinstance(step, Update):
                yield "", view.live(step), "", gr.Button(interactive=True)
            else:
                ending = why_ended(step.interrupted, event.is_set(), self.max_seconds)
                kept = restore_view.downloads(_files(wish, photo, step), command(wish, self.name))
                idle = gr.Button(interactive=False)
                yield "", restore_view.compared(step, ending), kept, idle


def example_photo() -> bytes:
    """A JPEG file of the sample photo, grey, noisy and small, so that there is something to do."""
    x = sample_photo("astronaut").mean(1, keepdim=True)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    picture = to_picture((x + EXAMPLE_NOISE * noise).clamp(0, 1).expand(-1, 3, -1, -1))
    content = io.BytesIO()
    picture.crop((60, 0, 380, 400)).save(content, format="JPEG", quality=EXAMPLE_QUALITY)
    return content.getvalue()


def corrections(findings: Findings | None) -> Outputs:
    """Fields for what was found, in the order of `Wish`; without a photo as at the beginning."""
    found = findings or NOTHING
    values = shown(found)
    several = len(found.faces) > 1
    return (
        gr.Checkbox(False),
        gr.Radio(face_choices(len(found.faces)), value=ALL, visible=several),
        gr.Number(values["noise"]),
        gr.Dropdown(BLURS, value=values["blur"]),
        gr.Number(values["size"], visible=values["blur"] != "none"),
        gr.Number(values["angle"], visible=values["blur"] == "line"),
        gr.Checkbox(values["jpeg"], visible=found.jpeg),
    )


def face_choices(count: int) -> list[tuple[str, str]]:
    """Pairs of words and name."""
    return [(f"All {count}", ALL), ("The largest", LARGEST)]


def blur_fields(shape: str) -> Outputs:
    """The numbers that a shape of blur has."""
    return gr.Number(visible=shape != "none"), gr.Number(visible=shape == "line")


def painting(brushed: bool) -> gr.HTML:
    """The painter with the brush at hand, or not."""
    return gr.HTML(painting=brushed)


def _files(wish: Wish, photo: Photo, restored: Restored) -> dict[str, bytes]:
    """The restored photo, and what the command line needs that the visitor does not have."""
    files, mask = {RESTORED: restore_view.png(restored.after)}, scratches(wish, photo)
    if mask is not None:
        files[SCRATCHES] = restore_view.png(mask.float().expand(-1, 3, -1, -1))
    if wish.dropped is not None and wish.dropped.made:
        files[wish.dropped.name] = wish.dropped.content
    return files


def _examined(name: str, content: bytes, sentence: str = "") -> Outputs:
    """Everything that a new photo changes; an error clears the one that was there."""
    try:
        held, photo = dropped(name, content, made=bool(sentence))
    except InputError as error:
        return None, view.canvas(None), alert(error), "", False, *corrections(None), *CLEARED
    height, width = photo.x.shape[-2:]
    about = view.note(sentence or f"{name}: {width}x{height} pixels.")
    lines = restore_view.findings(held.findings.sentences(), photo.notes)
    painter = view.canvas(to_picture(photo.x))
    return held, painter, about, lines, False, *corrections(held.findings), *CLEARED
