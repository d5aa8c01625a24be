"""One restoration as the page runs it: live updates, then the whole photo."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from interlayer.app.demo.run import INTERVAL, Update, seconds_left
from interlayer.generators import Generator
from interlayer.media.photos import Photo
from interlayer.recipes.restoring import Findings, Plan, Progress, restore


@dataclass(frozen=True, eq=False)
class Restored:
    """Outcome of a restoration.

    Attributes:
        before: the photo (1, 3, H, W) in [0, 1].
        after: the restored photo (1, 3, H', W'), which is larger where the photo was small.
        findings: what was taken into account.
        seconds: time that it took.
        interrupted: whether it ended early.
        notes: sentences about what was assumed.
    """

    before: Tensor
    after: Tensor
    findings: Findings
    seconds: float
    interrupted: bool
    notes: tuple[str, ...] = ()


def run_plan(
    photo: Photo,
    plan: Plan,
    generator: Generator,
    stopped: Callable[[], bool],
    max_seconds: float,
) -> Iterator[Update | Restored]:
    """Restore a photo: updates at most every `INTERVAL` seconds, and at last the outcome.

    Args:
        photo: the photo.
        plan: what is to be done to it.
        generator: the prior.
        stopped: function that is asked at every step; once it is true the best so far is the
            outcome.
        max_seconds: time in seconds after which it is stopped too.

    Raises:
        InputError: as for `interlayer.recipes.restoring.restore`.
    """
    started, last_shown = time.monotonic(), float("-inf")
    progress, interrupted, notes = None, False, list[str]()
    for progress in restore(photo, plan, generator, note=notes.append):
        now = time.monotonic()
        if now - last_shown >= INTERVAL and progress.fraction < 1:
            last_shown = now
            yield _update(progress, now - started)
        if progress.fraction < 1 and (stopped() or now - started > max_seconds):
            interrupted = True
            break
    assert progress is not None
    after, seconds = progress.picture(), time.monotonic() - started
    yield Restored(photo.x, after, plan.findings, seconds, interrupted, tuple(notes))


def _update(progress: Progress, elapsed: float) -> Update:
    """What is around the faces, from which no time can be told, or the face under way."""
    if progress.state is None:
        return Update(progress.photo, ("The photo around the faces",), progress.fraction, None)
    left = seconds_left(elapsed, progress.fraction)
    number = f"Face {progress.face + 1} of {progress.faces}"
    return Update(progress.state.x, (number, f"Stage: {progress.label}"), progress.fraction, left)
