"""Time that ILO takes to the least held-out error of 240 steps of CSGM.

    python benchmarks/time_to_quality.py PHOTO... --tasks circulant:0.01 inpaint:0.01

Both see the same measurements and hold out the same. ILO is run with ever more steps, at its
defaults otherwise; the first run that is as good counts, up to the step that is. Seconds and their
ratios are printed, and one JSON line per photo and task is appended to
benchmarks/results/time_to_quality.jsonl.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import interlayer
from interlayer import Generator, Method, Problem, csgm, ilo, iterate
from interlayer.memory import keep_freed_memory
from interlayer.problem.measurements import measure

RESULTS = Path(__file__).parent / "results" / "time_to_quality.jsonl"
BUDGETS = (30, 40, 50, 60, 80, 120)


def trace(problem: Problem, generator: Generator, method: Method) -> Iterator[tuple[float, float]]:
    """Yield the seconds since the start and the held-out error, step by step."""
    started = time.perf_counter()
    for state in iterate(problem, generator, method):
        yield time.perf_counter() - started, state.holdout_loss.item()


def main() -> None:
    """Measure, print and write."""
    keep_freed_memory()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--tasks", nargs="+", default=["circulant:0.01", "inpaint:0.01"])
    options = parser.parse_args()
    generator = interlayer.load("faces")
    print("| task | photo | csgm, 240 steps | ilo | ratio |\n|---|---|---|---|---|")
    for task in options.tasks:
        for photo in options.photos:
            x = interlayer.read_image(photo, generator.resolution)
            problem = measure(x, task, seed=0)
            steps = list(trace(problem, generator, csgm(240)))
            slow, goal = steps[-1][0], min(error for _, error in steps)
            found = "not reached | "
            row = {"task": task, "photo": photo.stem, "goal": goal, "csgm": slow, "ilo": None}
            for budget in BUDGETS:
                times = trace(problem, generator, ilo(budget))
                fast = next((seconds for seconds, error in times if error <= goal), None)
                if fast is not None:
                    row |= {"ilo": fast, "steps": budget}
                    found = f"{fast:.1f} s | {fast / slow:.2f}"
                    break
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"| `{task}` | {photo.stem} | {slow:.1f} s | {found} |", flush=True)


if __name__ == "__main__":
    main()
