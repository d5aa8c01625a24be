"""The part of the page where a good picture is damaged and recovered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block

from interlayer.app.demo import pictures, view
from interlayer.app.demo.choices import damages, methods, qualities
from interlayer.app.demo.handlers import EXAMPLE, Chosen, Handlers, slider
from interlayer.app.demo.parts import (
    QUICK,
    Result,
    action_bar,
    connect_bar,
    painter_over,
    result_panels,
)
from interlayer.app.demo.visits import Outputs

FIRST_DAMAGE, FIRST_QUALITY = "inpaint", "draft"
BRUSH, MOST_SAMPLES = 14, 6
INTRODUCTION = """
<p>Most of a good picture is thrown away. From the little that is left, the generator draws one that
fits it, and the truth is there to compare. Choose a picture and a damage, then press
<em>Recover</em>.</p>"""


class Source(NamedTuple):
    """Where the picture comes from, and where it is shown."""

    picture: gr.State
    painter: gr.HTML
    about: gr.HTML
    example: gr.Button
    draw: gr.Button
    photo: gr.File
    number: gr.Number


def lay_out_experiment(handlers: Handlers) -> None:
    """Lay out the part of the page, within a tab."""
    gr.HTML(INTRODUCTION)
    with gr.Row():
        with gr.Column(min_width=320):
            source = _picture(handlers)
            damage, level = _damage(handlers, source.painter)
            method, quality, seed, samples = _effort()
        with gr.Column(min_width=320, elem_classes="result"):
            result = result_panels()
    _connect(source, handlers, result)
    chosen = (source.picture, source.painter, damage, level, method, quality, seed, samples)

    def recovered(given: dict[Block, Any], request: gr.Request) -> Iterator[Outputs]:
        yield from handlers.recover(Chosen(*(given[each] for each in chosen)), request)

    bar = action_bar("Recover", "recover", "stop")
    connect_bar(bar, result, recovered, set(chosen), handlers.visits.stop)


def _picture(handlers: Handlers) -> Source:
    """The picture to damage, and the brush over it."""
    first = pictures.example(handlers.generator.resolution)
    gr.HTML("<h2>1. The picture</h2>")
    picture = gr.State(first)
    painter = painter_over(first, "painter", "The picture that will be measured", BRUSH)
    about = gr.HTML(view.note(EXAMPLE), elem_id="about")
    with gr.Row():
        example = gr.Button("Example photo", min_width=120)
        draw = gr.Button("Draw a face", min_width=120, elem_id="draw")
    with gr.Row():
        photo = gr.File(
            label="Or your own photo", file_types=["image"], height=150, scale=2, elem_id="photo"
        )
        number = gr.Number(1, label="Which face to draw (seed)", precision=0, minimum=0)
    return Source(picture, painter, about, example, draw, photo, number)


def _connect(source: Source, handlers: Handlers, result: Result) -> None:
    """Have each way to a picture show it, and empty what was found for the one before."""
    changed = [source.picture, source.painter, source.about, *result]
    source.example.click(handlers.example, None, changed, **QUICK)
    source.draw.click(handlers.drawn, source.number, changed, **QUICK)
    source.photo.upload(handlers.photo, source.photo, [*changed, source.photo], **QUICK)


def _damage(handlers: Handlers, painter: gr.HTML) -> tuple[gr.Dropdown, gr.Slider]:
    """The damage to the picture, and its level."""
    gr.HTML("<h2>2. The damage</h2>")
    damage = gr.Dropdown(
        damages(), value=FIRST_DAMAGE, label="What happens to it (task)", elem_id="damage"
    )
    level = gr.Slider(**slider(FIRST_DAMAGE), elem_id="level")
    damage.change(handlers.damage, damage, [level, painter], **QUICK)
    return damage, level


def _effort() -> tuple[gr.Dropdown, gr.Radio, gr.Number, gr.Slider]:
    """The method, quality, seed and number of samples of the recovery."""
    gr.HTML("<h2>3. The recovery</h2>")
    quality = gr.Radio(qualities(), value=FIRST_QUALITY, label="How long to work (quality)")
    with gr.Accordion("More choices", open=False):
        method = gr.Dropdown(methods(), value=methods()[0][1], label="How to search (method)")
        samples = gr.Slider(
            1,
            MOST_SAMPLES,
            value=1,
            step=1,
            label="How many solutions to find; several show what is uncertain (samples)",
        )
        seed = gr.Number(0, label="Number of the run (seed)", precision=0, minimum=0)
    return method, quality, seed, samples
