"""The findings and the result of a restoration as HTML."""

from __future__ import annotations

import io
from html import escape

from PIL import Image
from torch import Tensor

from interlayer.app.demo import view
from interlayer.app.demo.restoration import Restored
from interlayer.app.demo.wishes import SCRATCHES
from interlayer.media.images import to_picture

SHOWN = 1024  # pixels along the longer side, of a result that is looked at
CAUTION = (
    "Detail in a restored face is invented where the photo has lost it: a restored face is not "
    "evidence, and must not be used to identify anyone."
)


def findings(sentences: list[str], notes: tuple[str, ...] = ()) -> str:
    """A line for each finding, and for each change in reading the file."""
    lines = [*sentences, *(f"In reading it: {note}." for note in notes)]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="findings" aria-label="Findings">{items}</ul>'


def compared(restored: Restored, ending: str = "") -> str:
    """The whole restored photo, then a slider between before and after.

    Args:
        restored: outcome of the run.
        ending: reason why it ended early; empty if it did not.
    """
    title = f"The best so far ({escape(ending)})" if ending else "Restored"
    after = to_picture(restored.after)
    urls = [view.picture_url(p, SHOWN) for p in (to_picture(restored.before), after)]
    count = len(restored.findings.faces)
    faces = "1 face" if count == 1 else f"{count} faces"
    return f"""
<div class="compare" data-before="input">
  <div role="status"><h2>{title}</h2></div>
  <div class="frame" style="{view.shape(after)}">
    <img class="whole" src="{urls[1]}" alt="The whole restored photo">
  </div>
  <p>{faces} in {restored.seconds:.0f} s; {after.width}x{after.height} pixels.</p>
  <p class="warning">{CAUTION}</p>
  <h3>Before and after</h3>
  <div class="pictures" style="{view.shape(after)}">
    <img src="{urls[1]}" alt="After">
    <img class="before input" src="{urls[0]}" alt="Before">
    <input type="range" min="0" max="100" value="50"
      aria-label="Slide between before (left) and after (right)">
  </div>
  <h3>What was taken into account</h3>
  {findings(restored.findings.sentences())}
</div>"""


def downloads(restored: Restored, command: str, mask: Tensor | None) -> str:
    """Links to the photo at its full size and to what was brushed over, and how to repeat it.

    Args:
        restored: outcome of the run.
        command: command line that repeats it.
        mask: intact pixels (1, 1, H, W) where scratches were brushed over.
    """
    links = _link("restored.png", "Restored photo, full size (PNG)", to_picture(restored.after))
    beside = "the photo"
    if mask is not None:
        scratches = to_picture(mask.float().expand(-1, 3, -1, -1))
        links += _link(SCRATCHES, "What you brushed over (PNG)", scratches)
        beside += f" and {SCRATCHES}"
    return f"""
<h2>Keep it</h2>
<ul class="downloads">{links}</ul>
<h3>Repeat it</h3>
<p>Beside {beside}, with the command line:</p>
<pre tabindex="0">{escape(command)}</pre>"""


def _link(name: str, words: str, picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, format="PNG")
    url = view.data_url(content.getvalue(), name)
    return f'<li><a download="{name}" href="{url}">{words}</a></li>'
