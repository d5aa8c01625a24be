"""The findings and the result of a restoration as HTML."""

from __future__ import annotations

import io
from html import escape

from torch import Tensor

from interlayer.app.demo import view
from interlayer.app.demo.restoration import Restored
from interlayer.app.demo.wishes import EXAMPLE_FILE, RESTORED, SCRATCHES
from interlayer.media.images import to_picture

KEPT = {
    RESTORED: "Restored photo, full size (PNG)",
    SCRATCHES: "What you brushed over (PNG)",
    EXAMPLE_FILE: "The example photo (JPEG)",
}
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
    caution = f'<p class="warning">{CAUTION}</p>' if restored.findings.faces else ""
    lines = [*restored.findings.sentences(), *map(_sentence, restored.notes)]
    return f"""
<div class="compare" data-before="input">
  <div role="status"><h2>{title}</h2></div>
  <div class="frame" style="{view.shape(after)}">
    <img class="whole" src="{urls[1]}" alt="The whole restored photo">
  </div>
  <p>{done(restored)}</p>
  {caution}
  <h3>Before and after</h3>
  <div class="pictures" style="{view.shape(after)}">
    <img src="{urls[1]}" alt="After">
    <img class="before input" src="{urls[0]}" alt="Before">
    <input type="range" min="0" max="100" value="50"
      aria-label="Slide between before (left) and after (right)">
  </div>
  <h3>What was taken into account</h3>
  {findings(lines)}
</div>"""


def done(restored: Restored) -> str:
    """What became of a photo, in two sentences.

    >>> import torch
    >>> from interlayer.recipes.restoring import Findings
    >>> x = torch.zeros(1, 3, 8, 8)
    >>> done(Restored(x, x + 0.1, Findings(noise=0.1), 2.2, False))
    'No face was found; the rest of the photo was restored. 8x8 pixels, in 2 s.'
    """
    before, after = restored.before, restored.after
    factor, count = after.shape[-1] // before.shape[-1], len(restored.findings.faces)
    if restored.interrupted:
        what = "The restoration is not finished."
    elif before.equal(after):
        what = "Nothing is seen to be wrong with it: the photo is as it was."
    elif count:
        what = "1 face was restored." if count == 1 else f"{count} faces were restored."
    else:
        what = "No face was found; the rest of the photo was restored."
    larger = f", enlarged {factor} times" if factor > 1 else ""
    return (
        f"{what} {after.shape[-1]}x{after.shape[-2]} pixels{larger}, in {restored.seconds:.0f} s."
    )


def downloads(files: dict[str, bytes], command: str) -> str:
    """Links to the photo at its full size and to what repeats it.

    Args:
        files: contents of the files, by their names in `KEPT`.
        command: command line that repeats the restoration.
    """
    links = "".join(
        f'<li><a download="{name}" href="{view.data_url(content, name)}">{KEPT[name]}</a></li>'
        for name, content in files.items()
    )
    beside = f"the photo and {SCRATCHES}" if SCRATCHES in files else "the photo"
    return f"""
<h2>Keep it</h2>
<ul class="downloads">{links}</ul>
<h3>Repeat it</h3>
<p>Beside {beside}, with the command line:</p>
<pre tabindex="0">{escape(command)}</pre>"""


def png(x: Tensor) -> bytes:
    """An image (1, 3, H, W) in [0, 1] as a PNG file."""
    content = io.BytesIO()
    to_picture(x).save(content, format="PNG")
    return content.getvalue()


def _sentence(note: str) -> str:
    """A note with a capital letter."""
    return note[:1].upper() + note[1:]
