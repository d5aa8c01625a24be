"""What a command line shows: lines and progress bars on standard error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch.nn.functional as F
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from interlayer.methods import Stage
from interlayer.recovery import GIF_FRAMES, GIF_SIZE
from interlayer.solve import Solution, State

INTERRUPTED = 130
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line for the person, on standard error."""
    err.print(escape(text), soft_wrap=True)


def watched(
    states: Iterator[State], stages: Sequence[Stage]
) -> tuple[Solution, list[Tensor], bool]:
    """The solution and some frames, with one bar per stage; Ctrl-C ends it with the best so far."""
    frames: list[Tensor] = []
    every = max(1, sum(stage.steps for stage in stages) // GIF_FRAMES)
    state, interrupted = None, False
    try:
        with progress_bar() as bar:
            bars = [
                bar.add_task(f"layer {stage.layer}", total=stage.steps, start=False, loss="")
                for stage in stages
            ]
            for number, state in enumerate(states):
                if number % every == 0:
                    frames.append(F.interpolate(state.x, (GIF_SIZE, GIF_SIZE), mode="area"))
                if state.step == 0:
                    bar.start_task(bars[state.stage_number])
                bar.update(bars[state.stage_number], advance=1, loss=f"{state.loss.item():.5f}")
    except KeyboardInterrupt:
        if state is None:
            raise
        interrupted = True
    assert state is not None
    return state.solution(), frames, interrupted


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error with loss and time left."""
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        yield bar
