"""Output of the command line: lines and progress bars on standard error."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from interlayer.app.results import Animation
from interlayer.recipes.watching import LoggedProgress
from interlayer.solver.records import Solution, State

INTERRUPTED = 130
err = Console(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print one line for the user on standard error."""
    err.print(escape(text), soft_wrap=True)


def watched(states: Iterator[State]) -> tuple[Solution, Animation, bool]:
    """Run to the end with a bar; return solution, animation and whether Ctrl-C ended it."""
    animation = Animation()
    state, interrupted = None, False
    try:
        with progress_bar() as bar:
            task = bar.add_task("starting", total=1.0, loss="")
            for state in states:
                animation.offer(state)
                loss = f"{state.loss.item():.5f}"
                bar.update(task, completed=state.progress, description=state.label, loss=loss)
            bar.update(task, completed=1.0)
    except KeyboardInterrupt:
        if state is None:
            raise
        interrupted = True
    assert state is not None
    return state.solution(), animation, interrupted


def progress_bar() -> LoggedProgress:
    """Bars on standard error with loss and time left, to be entered; lines where it is a log."""
    return LoggedProgress(err)
