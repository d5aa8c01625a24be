"""Progress of what takes long: a bar in a terminal or a notebook, now and then a line in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from interlayer.solver.records import State

LOG_SECONDS = 15.0  # from one line in a log to the next


class LoggedProgress(Progress):
    """Bars with a loss and the time left; where nothing can be drawn over, a line now and then.

    A line says what is done, how much of it, and how long the rest will take.
    """

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description:>10}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        self._draws = console.is_terminal or console.is_jupyter
        super().__init__(*columns, console=console, disable=not self._draws)
        self._last, self._begun = time.monotonic(), dict[TaskID, float]()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a task as `rich.progress.Progress` does."""
        super().update(task_id, **changes)
        self._log(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Advance a task as `rich.progress.Progress` does."""
        super().advance(task_id, advance)
        self._log(task_id)

    def _log(self, task_id: TaskID) -> None:
        now = time.monotonic()
        if self._draws or now - self._last < LOG_SECONDS:
            return
        self._last = now
        task = self.tasks[self.task_ids.index(task_id)]
        left = ""
        if task.completed and task.total:
            seconds = (now - self._begun[task_id]) * (task.total - task.completed) / task.completed
            left = f", about {_spoken(seconds)} left"
        self.console.print(f"{task.description}: {task.percentage:.0f} % done{left}")

    def add_task(self, description: str, *args: Any, **fields: Any) -> TaskID:
        """Add a task as `rich.progress.Progress` does."""
        task_id = super().add_task(description, *args, **fields)
        self._begun[task_id] = time.monotonic()
        return task_id


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Callable[[State], None]]:
    """A bar for one run, as the ``callback`` of `solve`.

    Args:
        console: place for it; standard error by default.

    >>> from interlayer import make_physics, solve
    >>> from interlayer.generators import ToyGenerator
    >>> G = ToyGenerator()
    >>> physics = make_physics("inpaint:0.5", G.img_size)
    >>> with progress_bar() as callback:
    ...     solution = solve(physics, physics(G(G.sample([7]))), G, "csgm", callback=callback)
    """
    with LoggedProgress(console or Console(stderr=True)) as bars:
        task = bars.add_task("starting", total=1.0, loss="")

        def callback(state: State) -> None:
            loss = f"{state.loss.mean().item():.5f}"
            bars.update(task, completed=state.progress, description=state.label, loss=loss)

        yield callback


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
