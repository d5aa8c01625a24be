"""The part of the page where a visitor's photo is restored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block

from interlayer.app.demo import view
from interlayer.app.demo.choices import qualities
from interlayer.app.demo.parts import (
    QUICK,
    Result,
    action_bar,
    connect_bar,
    painter_over,
    result_panels,
)
from interlayer.app.demo.restore_handlers import RestoreHandlers, blur_fields, painting
from interlayer.app.demo.restore_view import CAUTION
from interlayer.app.demo.visits import Outputs
from interlayer.app.demo.wishes import ALL, BLURS, LARGEST, Wish

FIRST_QUALITY = "normal"
BRUSH = 2
INTRODUCTION = f"""
<p>Drop an old, small, noisy or scratched photo of people. The page says what it finds in it; put
right what it gets wrong, then press <em>Restore</em>.</p>
<p class="warning">{CAUTION}</p>"""


class Source(NamedTuple):
    """Where the photo comes from, and where it and what was found are shown."""

    dropped: gr.State
    painter: gr.HTML
    about: gr.HTML
    findings: gr.HTML
    example: gr.Button
    photo: gr.File
    brushed: gr.Checkbox


class Corrections(NamedTuple):
    """Fields that say what was found, and take what the visitor knows better."""

    colorize: gr.Checkbox
    faces: gr.Radio
    noise: gr.Number
    blur: gr.Dropdown
    size: gr.Number
    angle: gr.Number
    jpeg: gr.Checkbox


def lay_out_restoration(handlers: RestoreHandlers) -> None:
    """Lay out the part of the page, within a tab."""
    gr.HTML(INTRODUCTION)
    with gr.Row():
        with gr.Column(min_width=320):
            source = _photo()
            corrections = _corrections()
            quality, seed = _effort()
        with gr.Column(min_width=320, elem_classes="result"):
            result = result_panels("restore-")
    _connect(source, corrections, handlers, result)
    wished = (source.dropped, source.brushed, source.painter, *corrections, quality, seed)

    def restored(given: dict[Block, Any], request: gr.Request) -> Iterator[Outputs]:
        yield from handlers.restore(Wish(*(given[each] for each in wished)), request)

    bar = action_bar("Restore", "restore", "restore-stop")
    connect_bar(bar, result, restored, set(wished), handlers.visits.stop)


def _photo() -> Source:
    """The photo, and the brush over its scratches."""
    gr.HTML("<h2>1. The photo</h2>")
    dropped = gr.State(None, time_to_live=3600)
    photo = gr.File(label="Your photo", file_types=["image"], height=150, elem_id="restore-photo")
    example = gr.Button("Try the example photo", elem_id="restore-example")
    about = gr.HTML(elem_id="restore-about")
    painter = painter_over(None, "restore-painter", "The photo to restore", BRUSH)
    brushed = gr.Checkbox(
        label="It has scratches or holes: brush over them", elem_id="restore-brushed"
    )
    gr.HTML("<h2>2. What was found</h2>")
    findings = gr.HTML(view.note("Nothing yet: choose a photo."), elem_id="restore-findings")
    return Source(dropped, painter, about, findings, example, photo, brushed)


def _corrections() -> Corrections:
    """What was found as fields, to be corrected."""
    colorize = gr.Checkbox(label="It is grey or sepia: give the faces colours")
    faces = gr.Radio(
        [("All", ALL), ("The largest", LARGEST)], value=ALL, label="Faces to restore", visible=False
    )
    with gr.Accordion("Correct what was found", open=False):
        noise = gr.Number(
            0, label="Noise, in percent of white (standard deviation)", minimum=0, maximum=100
        )
        blur = gr.Dropdown(BLURS, value="none", label="Blur", elem_id="restore-blur")
        size = gr.Number(
            0,
            label="Size of the blur in pixels (standard deviation, radius or length)",
            minimum=0,
            visible=False,
        )
        angle = gr.Number(
            0,
            label="Direction of the line, in degrees anticlockwise from level",
            minimum=0,
            maximum=180,
            visible=False,
        )
        jpeg = gr.Checkbox(label="Take the losses of the JPEG file into account")
    blur.change(blur_fields, blur, [size, angle], **QUICK)
    return Corrections(colorize, faces, noise, blur, size, angle, jpeg)


def _effort() -> tuple[gr.Radio, gr.Number]:
    """The quality and the seed of the restoration."""
    gr.HTML("<h2>3. The restoration</h2>")
    quality = gr.Radio(qualities(), value=FIRST_QUALITY, label="How long to work (quality)")
    with gr.Accordion("More choices", open=False):
        seed = gr.Number(0, label="Number of the run (seed)", precision=0, minimum=0)
    return quality, seed


def _connect(
    source: Source, corrections: Corrections, handlers: RestoreHandlers, result: Result
) -> None:
    """Have a new photo change everything that is about the one before."""
    shown = [source.dropped, source.painter, source.about, source.findings]
    changed = [*shown, source.brushed, *corrections, *result]
    loud: dict[str, Any] = {**QUICK, "show_progress": "minimal", "show_progress_on": source.about}
    source.example.click(handlers.example, None, changed, **loud)
    source.photo.upload(handlers.photo, source.photo, [*changed, source.photo], **loud)
    source.brushed.change(painting, source.brushed, source.painter, **QUICK)
