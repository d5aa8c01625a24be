"""The l1 projection against the textbook's, which sorts.

    python benchmarks/projection.py

Gaussian entries, projected to a fifth of their l1 norm; both take turns, and freed memory is kept
for both; medians and their ratio.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from interlayer.memory import keep_freed_memory
from interlayer.solver import project_l1_ball

RESULTS = Path(__file__).parent / "results" / "projection.json"
SIZES, TURNS = (10_000, 100_000, 2_000_000, 10_000_000), 9


def by_sorting(v: Tensor, radius: float) -> Tensor:
    """Duchi et al., ICML 2008, figure 1."""
    size = v.abs().flatten(1)
    ordered = size.sort(1, descending=True).values
    excess = ordered.cumsum(1, dtype=torch.float64) - radius
    rank = torch.arange(1, size.shape[1] + 1)
    last = (ordered * rank > excess).sum(1, keepdim=True)
    threshold = (excess.gather(1, last - 1) / last).clamp_min(0).to(v.dtype)
    return v.sign() * (v.abs() - threshold.view(-1, *[1] * (v.ndim - 1))).clamp_min(0)


def seconds(action: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    """Measure, print and write."""
    keep_freed_memory()
    found = {}
    print(f"{torch.get_num_threads()} threads\n\n| entries | sorting | ours | ratio | differ by |")
    print("|---|---|---|---|---|")
    for size in SIZES:
        v = torch.randn(1, size, generator=torch.Generator().manual_seed(0))
        radius = v.abs().sum().item() / 5
        difference = (by_sorting(v, radius) - project_l1_ball(v, radius)).abs().max().item()
        ways = partial(by_sorting, v, radius), partial(project_l1_ball, v, radius)
        pairs = [[seconds(way) for way in ways] for _ in range(TURNS)]
        slow, fast = (median(side) for side in zip(*pairs, strict=True))
        found[size] = {"sorting": slow, "ours": fast, "difference": difference}
        ours = f"{slow * 1e3:.1f} ms | {fast * 1e3:.1f} ms | {slow / fast:.1f} | {difference:.0e}"
        print(f"| {size:,} | {ours} |")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
