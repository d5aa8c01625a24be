"""The page, from top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from interlayer.app.demo import pictures, view
from interlayer.app.demo.choices import MAX_SECONDS, damages, methods, qualities
from interlayer.app.demo.handlers import EXAMPLE, Handlers, slider
from interlayer.generators import Generator

HERE = Path(__file__).parent
FIRST_DAMAGE, FIRST_QUALITY = "inpaint", "draft"
MOST_WAITING, MOST_SAMPLES = 20, 6
# Every minute, uploads that nobody came to read, because their tab was closed, are removed.
UPLOADS_LIVE = (60, 600)
INTRODUCTION = """
<h1>See a face come back</h1>
<p>Most of a picture is thrown away. From the little that is left, a generator that has seen many
faces draws one that fits it. Choose a picture and a damage, then press <em>Recover</em>.</p>"""
QUICK: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class Chosen(NamedTuple):
    """Choices of a visitor, in the order in which `Handlers.recover` takes it."""

    picture: Component
    strokes: Component
    damage: Component
    level: Component
    method: Component
    quality: Component
    seed: Component
    samples: Component


def build(
    generator: Generator, name: str | None = None, max_seconds: float = MAX_SECONDS
) -> gr.Blocks:
    """Build the page for a generator, to be served by `interlayer.app.demo.server.launch`.

    Args:
        generator: the prior.
        name: name of the generator on the command line, for the lines that repeat a run; by default
            its own.
        max_seconds: time in seconds after which a recovery is stopped and its best estimate shown.
    """
    handlers = Handlers(generator, name or generator.name, max_seconds)
    page = gr.Blocks(title="interlayer", analytics_enabled=False, delete_cache=UPLOADS_LIVE)
    with page:
        gr.HTML(INTRODUCTION)
        with gr.Row():
            with gr.Column(min_width=320):
                picture, painter = _picture(handlers)
                damage, level = _damage(handlers, painter)
                method, quality, seed, samples = _effort()
            with gr.Column(min_width=320):
                chosen = Chosen(picture, painter, damage, level, method, quality, seed, samples)
                _result(handlers, chosen)
        page.unload(handlers.stop)
    return page.queue(max_size=MOST_WAITING)


def _picture(handlers: Handlers) -> tuple[gr.State, gr.HTML]:
    """The picture to damage, and the brush over it."""
    first = pictures.example(handlers.generator.resolution)
    picture = gr.State(first)
    gr.HTML("<h2>1. The picture</h2>")
    painter = gr.HTML(
        [],
        html_template=(HERE / "painter.html").read_text("utf-8"),
        js_on_load=(HERE / "painter.js").read_text("utf-8"),
        elem_id="painter",
        picture=view.picture_url(first),
        painting=False,
    )
    about = gr.HTML(view.note(EXAMPLE), elem_id="about")
    with gr.Row():
        example = gr.Button("Example photo", min_width=120)
        draw = gr.Button("Draw a face", min_width=120, elem_id="draw")
    with gr.Row():
        photo = gr.File(
            label="Or your own photo", file_types=["image"], height=130, scale=2, elem_id="photo"
        )
        number = gr.Number(1, label="Which face to draw (seed)", precision=0, minimum=0)
    example.click(handlers.example, None, [picture, painter, about], **QUICK)
    draw.click(handlers.drawn, number, [picture, painter, about], **QUICK)
    photo.upload(handlers.photo, photo, [picture, painter, about, photo], **QUICK)
    return picture, painter


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


def _result(handlers: Handlers, chosen: Chosen) -> None:
    """The two big buttons and their result."""
    with gr.Row():
        recover = gr.Button("Recover", variant="primary", elem_id="recover")
        stop = gr.Button("Stop, keep the best", interactive=False, elem_id="stop")
    status = gr.HTML(view.note("The result will be here."), elem_id="status")
    shown = gr.HTML(js_on_load=(HERE / "compare.js").read_text("utf-8"), elem_id="shown")
    downloads = gr.HTML(elem_id="downloads")
    recover.click(
        handlers.recover,
        list(chosen),
        [status, shown, downloads, stop],
        concurrency_id="compute",
        concurrency_limit=1,
        show_progress="minimal",
        show_progress_on=status,
        api_visibility="private",
    )
    stop.click(handlers.stop, queue=False, **QUICK)
