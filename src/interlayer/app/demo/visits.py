"""Runs of the visitors: each can be stopped, and each failure is a sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr

from interlayer.app.demo import view
from interlayer.errors import InputError

FAILED = "Something went wrong in the program; its log says what."
CLEARED = (view.note(view.EMPTY), "", "")  # status, picture and downloads of a part of the page
Outputs = tuple[Any, ...]

logger = logging.getLogger(__name__)


class Visits:
    """The runs under way, by visitor; everything else about a visitor is in the page itself."""

    def __init__(self) -> None:
        self.running: dict[str, Event] = {}

    @contextmanager
    def run(self, request: gr.Request) -> Iterator[Event]:
        """Give the event that is set once the visitor wants the run to end."""
        session, event = str(request.session_hash), Event()
        self.running[session] = event
        try:
            yield event
        finally:
            self.running.pop(session, None)

    def stop(self, request: gr.Request) -> None:
        """End the visitor's run, if there is one."""
        event = self.running.get(str(request.session_hash))
        if event is not None:
            event.set()


def guarded(panels: Iterator[Outputs]) -> Iterator[Outputs]:
    """Pass on a run's status, picture, downloads and stop button; a failure leaves one sentence."""
    idle = gr.Button(interactive=False)
    try:
        yield from panels
    except InputError as error:
        yield alert(error), "", "", idle
    except Exception:  # the visitor learns that something failed, the log what it was
        logger.exception("a run failed")
        yield view.note(FAILED, alert=True), "", "", idle


def alert(error: InputError) -> str:
    """A user's mistake as a sentence that is read out at once."""
    return view.note(f"Sorry: {error}.", alert=True)


def why_ended(interrupted: bool, stopped: bool, max_seconds: float) -> str:
    """The reason why a run ended before its time; empty if it did not.

    >>> why_ended(True, False, 60)
    'its 60 s were over'
    """
    if not interrupted:
        return ""
    return "you stopped it" if stopped else f"its {max_seconds:g} s were over"


def forget(upload: Path) -> None:
    """Remove an upload that has been read, and the empty files that gradio makes beside them."""
    upload.unlink(missing_ok=True)
    for other in upload.parent.parent.glob("tmp*"):
        if other.is_file() and other.stat().st_size == 0:
            other.unlink(missing_ok=True)
