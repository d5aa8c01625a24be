"""Parts that both halves of the page have: the painter, the result and the bar of buttons."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block
from PIL import Image

from interlayer.app.demo import view

HERE = Path(__file__).parent
QUICK: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# On a narrow screen the result lies below the choices: a run brings it into view.
TO_THE_RESULT = """(...inputs) => {
  const status = document.querySelector("#STATUS");
  const { top } = status.getBoundingClientRect();
  if (top < 0 || top > window.innerHeight / 2) status.scrollIntoView({ behavior: "instant" });
  return inputs;
}"""


class Result(NamedTuple):
    """Where a run shows how it stands, what came out, and what there is to keep."""

    status: gr.HTML
    shown: gr.HTML
    downloads: gr.HTML


class Bar(NamedTuple):
    """The buttons that begin a run and end it; they stay in view."""

    start: gr.Button
    stop: gr.Button


def painter_over(
    picture: Image.Image | None, name: str, about: str, brush: float, painting: bool = False
) -> gr.HTML:
    """Lay out a picture that can be brushed over.

    Args:
        picture: picture to begin with.
        name: its name in the page.
        about: description of the picture for those who cannot see it.
        brush: width of the brush, in percent of the longer side.
        painting: whether the brush is at hand.
    """
    return gr.HTML(
        [],
        html_template=(HERE / "painter.html").read_text("utf-8"),
        js_on_load=(HERE / "painter.js").read_text("utf-8"),
        elem_id=name,
        about=about,
        brush=brush,
        painting=painting,
        **view.canvas_settings(picture),
    )


def result_panels(prefix: str = "") -> Result:
    """Lay out the panels of a result, whose names in the page begin with ``prefix``."""
    return Result(
        gr.HTML(view.note(view.EMPTY), elem_id=f"{prefix}status"),
        gr.HTML(js_on_load=(HERE / "compare.js").read_text("utf-8"), elem_id=f"{prefix}shown"),
        gr.HTML(elem_id=f"{prefix}downloads"),
    )


def action_bar(words: str, start: str, stop: str) -> Bar:
    """Lay out the two big buttons, with ``start`` and ``stop`` as their names in the page."""
    with gr.Row(elem_classes="bar"):
        return Bar(
            gr.Button(words, variant="primary", elem_id=start, min_width=120),
            gr.Button("Stop, keep the best", interactive=False, elem_id=stop, min_width=120),
        )


def connect_bar(
    bar: Bar,
    result: Result,
    run: Callable[..., Any],
    inputs: set[Block],
    stop: Callable[..., None],
) -> None:
    """Have the buttons begin a run and end it, one run at a time for all visitors.

    Args:
        bar: the buttons.
        result: panels of the run.
        run: handler that takes ``inputs`` as one dictionary.
        inputs: components that it wants.
        stop: handler that ends a visitor's run.
    """
    bar.start.click(
        run,
        inputs,
        [*result, bar.stop],
        js=TO_THE_RESULT.replace("STATUS", str(result.status.elem_id)),
        concurrency_id="compute",
        concurrency_limit=1,
        show_progress="minimal",
        show_progress_on=result.status,
        api_visibility="private",
    )
    bar.stop.click(stop, queue=False, **QUICK)
