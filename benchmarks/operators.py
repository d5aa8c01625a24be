"""Cost of the forward operators, beside the least that they could cost.

    python benchmarks/operators.py

Forward and adjoint at 3x1024x1024, medians in turn with their yardstick: a real FFT and its inverse
for circulant measurements, a copy of the image for masks, drawing as many Gaussian numbers with
`torch.randn` for the Gaussian matrix, whose rows are kept in memory or made again each time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from statistics import median

import torch

from interlayer.memory import keep_freed_memory
from interlayer.problem import gaussian, measure

RESULTS = Path(__file__).parent / "results" / "operators.json"
SIZE, TURNS, ROWS = (3, 1024, 1024), 7, 20
NOT_KEPT = ", not kept"


def seconds(action: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


@torch.no_grad()
def main() -> None:
    """Measure, print and write."""
    keep_freed_memory()
    x = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(0))
    flat = x.flatten()

    def transforms() -> object:
        return torch.fft.irfft(torch.fft.rfft(flat), n=flat.numel())

    def draws() -> object:
        return [torch.randn(flat.numel()) for _ in range(ROWS)]

    yardsticks: dict[str, tuple[str, Callable[[], object]]] = {
        "circulant:0.01": ("rfft + irfft", transforms),
        "circulant:0.25": ("rfft + irfft", transforms),
        "inpaint:0.01": ("copy", x.clone),
        "superres:16": ("copy", x.clone),
        "deblur:12": ("rfft + irfft", transforms),
        f"gaussian:{ROWS}": (f"{ROWS} rows of randn", draws),
        f"gaussian:{ROWS}{NOT_KEPT}": (f"{ROWS} rows of randn", draws),
    }
    found = {}
    print(f"{torch.get_num_threads()} threads\n")
    print(
        "| operator | forward | adjoint | yardstick | forward / yardstick | adjoint / yardstick |"
    )
    print("|---|---|---|---|---|---|")
    for task, (name, yardstick) in yardsticks.items():
        if task.endswith(NOT_KEPT):
            gaussian.RESERVE = inf
        problem = measure(x, task.removesuffix(NOT_KEPT), seed=0)
        physics, y = problem.linear_physics, problem.y
        physics.A(x)  # keeps rows
        ways = (lambda: physics.A(x), lambda: physics.A_adjoint(y), yardstick)  # noqa: B023
        turns = [[seconds(way) for way in ways] for _ in range(TURNS)]
        forward, adjoint, least = (median(side) for side in zip(*turns, strict=True))
        found[task] = {"forward": forward, "adjoint": adjoint, name: least}
        times = f"{forward * 1e3:.1f} ms | {adjoint * 1e3:.1f} ms | {name}, {least * 1e3:.1f} ms"
        print(f"| `{task}` | {times} | {forward / least:.2f} | {adjoint / least:.2f} |", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
