"""Cost of a step by the batch, the layer it starts at and the measurements.

    python benchmarks/scaling.py

Built-in generator, 1024x1024; medians of whole steps (forward, backward, update, projection), each
variant in turn with the first one, whose time is the unit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

import interlayer
from interlayer import Generator, Latent, Layer, Method, Stage, State
from interlayer.memory import keep_freed_memory
from interlayer.problem import measure

RESULTS = Path(__file__).parent / "results" / "scaling.json"
STEPS = 7


def run(generator: Generator, task: str, layer: int, batch: int) -> Iterator[State]:
    """Yield steps of one stage, more than are taken."""
    x = torch.rand(batch, 3, generator.resolution, generator.resolution)
    stage = Stage(Layer(layer, radius=0.05) if layer else Latent(), 10 * STEPS)
    return interlayer.iterate(measure(x, task, seed=0), generator, Method("one", (stage,)))


def main() -> None:
    """Measure, print and write."""
    keep_freed_memory()
    generator = interlayer.load("faces")
    base = ("circulant:0.01", 0, 1)
    variants = [("circulant:0.01", 0, batch) for batch in (2, 4)]
    variants += [("circulant:0.01", layer, 1) for layer in (2, 4, 6, 8)]
    variants += [(task, 0, 1) for task in ("inpaint:0.01", "circulant:0.5", "superres:16")]
    found = {}
    print("| task | layer | batch | of one image at layer 0 | per image |\n|---|---|---|---|---|")
    for variant in variants:
        first, second = run(generator, *base), run(generator, *variant)
        next(first)
        next(second)
        times = []
        for _ in range(STEPS):
            marks = [time.perf_counter()]
            for steps in (first, second):
                next(steps)
                marks.append(time.perf_counter())
            times.append((marks[2] - marks[1]) / (marks[1] - marks[0]))
        ratio, (task, layer, batch) = median(times), variant
        found[f"{task} layer {layer} batch {batch}"] = ratio
        print(f"| `{task}` | {layer} | {batch} | {ratio:.2f} | {ratio / batch:.2f} |", flush=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
