"""One recovery as the page shows it: live updates, then everything there is to download."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from torch import Tensor

from interlayer.app.approach import Approach
from interlayer.app.demo.choices import MASK_FILE
from interlayer.app.results import Animation, report, write_results
from interlayer.generators import Generator
from interlayer.media.images import to_tensor, write_image
from interlayer.problem.problem import Problem
from interlayer.problem.tasks import Task
from interlayer.solver.records import State

INTERVAL = 0.3  # seconds between updates, at least


@dataclass(frozen=True)
class Order:
    """A visitor's request for a recovery.

    Attributes:
        picture: the truth, 8-bit RGB at the generator's size, so that its PNG file is exact.
        task: task that measures it, as `make_physics` knows it.
        approach: method and settings of its recovery.
        masks: masks of the task, by file, as tensors of `make_physics`.
    """

    picture: Image.Image
    task: str
    approach: Approach
    masks: dict[str, Tensor] = field(default_factory=dict)

    @property
    def x(self) -> Tensor:
        """The picture as (1, 3, H, W) in [0, 1]."""
        return to_tensor(self.picture)

    def problem(self) -> Problem:
        """The measurements of the picture, with the operator that made them."""
        x = self.x
        task = Task(self.task, tuple(x.shape[1:]), self.approach.seed, self.masks)
        physics = task.physics()
        return Problem(physics, physics(x), task=task)


@dataclass(frozen=True)
class Update:
    """State of a run: ``x`` (1, 3, H, W) in [0, 1], facts in words, and the seconds left.

    ``None`` of them is not to be told yet.
    """

    x: Tensor
    facts: tuple[str, ...]
    progress: float
    seconds_left: float | None


@dataclass(frozen=True)
class Ending:
    """Outcome of a recovery: the figures of ``result.json``, and files by name."""

    result: dict[str, Any]
    files: dict[str, bytes]


def fulfil(
    order: Order,
    generator: Generator,
    name: str,
    *,
    stopped: Callable[[], bool] = lambda: False,
    max_seconds: float = float("inf"),
) -> Iterator[Update | Ending]:
    """Measure and recover: updates at most every `INTERVAL` seconds, and at last the ending.

    Args:
        order: the visitor's request.
        generator: the prior.
        name: name of the generator on the command line.
        stopped: function that is asked at every step; once it is true the best so far is the
            ending.
        max_seconds: time in seconds after which it is stopped too.

    Raises:
        InputError: if the task or the method does not suit.
    """
    problem, animation = order.problem(), Animation()
    started, shown = time.monotonic(), float("-inf")
    state, interrupted = None, False
    for state in order.approach.states(problem, generator):
        now = time.monotonic()
        animation.offer(state)
        if now - shown >= INTERVAL:
            shown = now
            yield _update(state, now - started)
        if state.progress < 1 and (stopped() or now - started > max_seconds):
            interrupted = True
            break
    assert state is not None
    solution = state.solution()
    header = order.approach.header(problem, generator) | {"generator": name}
    result = header | report(solution, order.x, interrupted)
    with TemporaryDirectory() as folder:
        write_results(Path(folder), problem, solution, order.x, result, animation)
        files = _kept(Path(folder), order)
    files["repeat.sh"] = (command(order, name) + "\n").encode()
    files["repeat.py"] = python(order, name).encode()
    yield Ending(result, files)


def command(order: Order, name: str) -> str:
    """The command line that repeats an order, beside its ``input.png`` and ``mask.png``."""
    approach = order.approach
    words = ["interlayer", "recover", "input.png", "--task", order.task]
    words += ["--method", approach.method, "--quality", approach.quality]
    words += ["--seed", str(approach.seed)]
    words += ["--samples", str(approach.samples)] if approach.samples > 1 else []
    return shlex.join([*words, "--generator", name, "--out", "repeated"])


def python(order: Order, name: str) -> str:
    """Ten lines of Python that repeat an order, beside its ``input.png`` and ``mask.png``."""
    approach = order.approach
    chosen = f"{approach.method!r}, quality={approach.quality!r}"
    chosen += f", samples={approach.samples}" if approach.samples > 1 else ""
    return f"""\
import interlayer as il

G = il.load({name!r})
x = il.read_image("input.png", size=G.resolution)
physics = il.make_physics({order.task!r}, x.shape[1:], seed={approach.seed})
problem, settings = il.Problem(physics, physics(x)), il.Settings(seed={approach.seed})
for state in il.reconstruct(problem, G, {chosen}, settings=settings):
    print(f"{{state.label}}: {{state.progress:.0%}}")
x_hat = state.solution().x_hat
il.write_image("recovered.png", x_hat)
print(f"PSNR {{-10 * (x_hat - x).square().mean().log10():.2f}} dB")
"""


def seconds_left(elapsed: float, progress: float) -> float:
    """Time that is left if the rest is as fast as what is done.

    >>> seconds_left(30, 0.75)
    10.0
    """
    return elapsed * (1 - progress) / max(progress, 1e-9)


def _update(state: State, elapsed: float) -> Update:
    facts = (f"Stage: {state.label}", f"Error (loss): {state.loss.mean().item():.5f}")
    return Update(state.x, facts, state.progress, seconds_left(elapsed, state.progress))


def _kept(folder: Path, order: Order) -> dict[str, bytes]:
    """The results in a folder, with what the command line needs to make them again."""
    write_image(folder / "input.png", order.x)
    for mask in order.masks.values():
        write_image(folder / MASK_FILE, mask.expand(-1, 3, -1, -1))
    (folder / "measurements.pt").unlink()  # large, and the command makes them again
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
