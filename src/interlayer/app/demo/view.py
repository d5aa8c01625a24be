"""The page's moving parts as HTML; pictures are embedded as data, so that none lies on the disk."""

from __future__ import annotations

import base64
import io
import mimetypes
from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from interlayer.app.demo.run import Ending, Update
from interlayer.media.images import to_picture

SHOWN = 512  # pixels a side, of pictures that are only looked at
EMPTY = "The result will be here."
WARNING = (
    "The generator invents plausible detail that was not measured. This is not what the person "
    "looks like: do not use it to identify anyone or as evidence."
)
DOWNLOADS = {
    "recovered.png": "Recovered picture",
    "measured.png": "What was measured",
    "input.png": "Picture before",
    "mask.png": "Painted mask",
    "comparison.png": "All side by side",
    "std.png": "What is uncertain (standard deviation)",
    "progress.gif": "How it came about (GIF)",
    "result.json": "All figures (JSON)",
    "repeat.sh": "Command line that repeats it",
    "repeat.py": "Ten lines of Python that do",
}


def data_url(content: bytes, name: str) -> str:
    """A file as a URL that holds it.

    >>> data_url(b"{}", "result.json")
    'data:application/json;base64,e30='
    """
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_url(picture: Image.Image, side: int = SHOWN) -> str:
    """A picture, at most ``side`` pixels a side, as a URL that holds it."""
    shown = picture.copy()
    shown.thumbnail((side, side))
    content = io.BytesIO()
    shown.save(content, format="JPEG", quality=90)
    return data_url(content.getvalue(), "picture.jpg")


def note(sentence: str, alert: bool = False) -> str:
    """A sentence; an alert is read out at once."""
    if not sentence:
        return ""
    return f'<p class="note" role="{"alert" if alert else "status"}">{escape(sentence)}</p>'


def canvas(picture: Image.Image | None) -> gr.HTML:
    """The painter with a picture, over which nothing is painted yet; ``None`` empties it."""
    return gr.HTML(value=[], **canvas_settings(picture))


def canvas_settings(picture: Image.Image | None) -> dict[str, Any]:
    """The painter's settings for a picture: what it shows, and the shape of that."""
    if picture is None:
        return {"picture": "", "across": SHOWN, "down": SHOWN}
    longer = max(picture.size)
    across, down = (max(1, round(SHOWN * side / longer)) for side in picture.size)
    return {"picture": picture_url(picture), "across": across, "down": down}


def live(update: Update) -> str:
    """The estimate of the moment, with facts about it and the time left."""
    picture, left = to_picture(update.x), update.seconds_left
    facts = [*update.facts, *([] if left is None else [f"About {max(1, round(left))} s left"])]
    spans = "".join(f"\n    <span>{escape(fact)}</span>" for fact in facts)
    return f"""
<figure class="live">
  <img src="{picture_url(picture)}" style="{shape(picture)}" alt="The estimate so far">
  <figcaption>
    <progress value="{update.progress:.3f}" aria-label="Progress"></progress>{spans}
  </figcaption>
</figure>"""


def shape(picture: Image.Image) -> str:
    """The shape of a picture, as the style of what holds it."""
    return f"--across: {picture.width}; --down: {picture.height}"


def compared(outcome: Ending, ending: str = "") -> str:
    """The result under what was measured or the truth, with a slider between them.

    Args:
        outcome: outcome of the run.
        ending: reason why it ended early; empty if it did not.
    """
    title = f"The best so far ({escape(ending)})" if ending else "Recovered"
    urls = {name: _url(outcome, f"{name}.png") for name in ("measured", "input", "recovered")}
    figures = outcome.result
    return f"""
<div class="compare" data-before="measured">
  <div role="status"><h2>{title}</h2></div>
  <img class="whole" src="{urls["recovered"]}" alt="The whole recovered picture">
  <h3>Before and after</h3>
  <div class="pictures">
    <img src="{urls["recovered"]}" alt="Recovered">
    <img class="before measured" src="{urls["measured"]}" alt="What was measured">
    <img class="before input" src="{urls["input"]}" alt="The picture before (truth)">
    <input type="range" min="0" max="100" value="50"
      aria-label="Slide between before (left) and recovered (right)">
  </div>
  <p class="switch" role="group" aria-label="Shown at the left">
    Left of the line: <button type="button" value="measured" aria-pressed="true">measured</button>
    <button type="button" value="input" aria-pressed="false">truth</button>
  </p>
  <p class="warning"><strong>Made up in part.</strong> {WARNING}</p>
  <dl>
    <dt>Likeness (PSNR, higher is better)</dt><dd>{figures["psnr"]:.2f} dB</dd>
    <dt>Structure (SSIM, 1 is equal)</dt><dd>{figures["ssim"]:.3f}</dd>
    <dt>Time</dt><dd>{figures["seconds"]:.0f} s, {figures["steps"]} steps</dd>
  </dl>
  {_several(outcome)}
</div>"""


def _several(outcome: Ending) -> str:
    """The samples whose mean the result is, and how far they differ."""
    if "std.png" not in outcome.files:
        return ""
    names = [name for name in outcome.files if name.startswith("sample")]
    pictures = [(_url(outcome, name), f"Solution {i}") for i, name in enumerate(names, start=1)]
    pictures.insert(0, (_url(outcome, "std.png"), "Where they differ (uncertainty map)"))
    figures = "".join(
        f'<figure><img src="{url}" alt=""><figcaption>{words}</figcaption></figure>'
        for url, words in pictures
    )
    return f"""
  <h3>Several solutions</h3>
  <p>All fit what was measured; the result is their mean. The brighter, the less was measured
  there.</p>
  <div class="several">{figures}</div>"""


def _url(outcome: Ending, name: str) -> str:
    """A picture among the files, as a URL that holds it."""
    return picture_url(Image.open(io.BytesIO(outcome.files[name])).convert("RGB"))


def downloads(outcome: Ending) -> str:
    """Links to the files, and how to repeat the run."""
    links = "".join(
        f'<li><a download="{name}" href="{data_url(outcome.files[name], name)}">{words}</a></li>'
        for name, words in DOWNLOADS.items()
        if name in outcome.files
    )
    beside = "input.png and mask.png" if "mask.png" in outcome.files else "input.png"
    return f"""
<h2>Keep it</h2>
<ul class="downloads">{links}</ul>
<h3>Repeat it</h3>
<p>Beside {beside}, with the command line:</p>
<pre tabindex="0">{escape(outcome.files["repeat.sh"].decode())}</pre>
<p>or from Python:</p>
<pre tabindex="0">{escape(outcome.files["repeat.py"].decode())}</pre>"""
