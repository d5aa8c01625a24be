"""The page: what it is for, the generator at work, and its two parts."""

from __future__ import annotations

from html import escape

import gradio as gr

from interlayer.app.demo.choices import MAX_SECONDS
from interlayer.app.demo.experiment_tab import lay_out_experiment
from interlayer.app.demo.handlers import Handlers
from interlayer.app.demo.restore_handlers import RestoreHandlers
from interlayer.app.demo.restore_tab import lay_out_restoration
from interlayer.generators import Generator

MOST_WAITING = 20
# Every minute, uploads that nobody came to read, because their tab was closed, are removed.
UPLOADS_LIVE = (60, 600)
TITLE = """
<h1>See a face come back</h1>
<p class="at-work">The generator at work: <strong>{name}, {size}x{size}</strong> pixels.</p>"""


def build(
    generator: Generator, name: str | None = None, max_seconds: float = MAX_SECONDS
) -> gr.Blocks:
    """Build the page for a generator, to be served by `interlayer.app.demo.server.launch`.

    Args:
        generator: the prior.
        name: name of the generator on the command line, for the lines that repeat a run; by default
            its own.
        max_seconds: time in seconds after which a run is stopped and its best estimate shown.
    """
    name = name or generator.name
    restoring = RestoreHandlers(generator, name, max_seconds)
    recovering = Handlers(generator, name, max_seconds)
    page = gr.Blocks(title="interlayer", analytics_enabled=False, delete_cache=UPLOADS_LIVE)
    with page:
        gr.HTML(TITLE.format(name=escape(name), size=generator.resolution))
        with gr.Tabs():
            with gr.Tab("Restore a photo", id="restore"):
                lay_out_restoration(restoring)
            with gr.Tab("Experiment", id="experiment"):
                lay_out_experiment(recovering)
        page.unload(restoring.visits.stop)
        page.unload(recovering.visits.stop)
    return page.queue(max_size=MOST_WAITING)
