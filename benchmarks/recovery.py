"""Photos x tasks x methods -> a table of PSNR; every result is kept, and the same command resumes.

    python benchmarks/recovery.py PHOTO... --tasks circulant:0.01,inpaint:0.01 --methods csgm,ilo

Neither method sees the truth; it is used after a run, to fill the table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import interlayer
from interlayer.recovery import measure, metrics

FOLDER = Path(__file__).parent / "results"


def main() -> None:
    """Run what the results file lacks, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--tasks", default="circulant:0.01,inpaint:0.01")
    parser.add_argument("--methods", default="csgm,ilo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=FOLDER / "recovery.jsonl")
    options = parser.parse_args()
    tasks, methods = options.tasks.split(","), options.methods.split(",")
    rows = [json.loads(line) for line in read_lines(options.results)]
    generator = interlayer.load("faces")
    cells = [
        (photo, task, method) for photo in options.photos for task in tasks for method in methods
    ]
    for photo, task, method in cells:
        key = {"photo": photo.stem, "task": task, "method": method, "seed": options.seed}
        if any(key.items() <= row.items() for row in rows):
            continue
        rows.append(key | run(generator, photo, task, method, options.seed))
        options.results.parent.mkdir(parents=True, exist_ok=True)
        with options.results.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    for task in tasks:
        print_table([row for row in rows if row["task"] == task], task, methods)


def read_lines(path: Path) -> list[str]:
    """Lines of a file that may not exist yet."""
    return path.read_text().splitlines() if path.exists() else []


def run(generator, photo: Path, task: str, method: str, seed: int) -> dict[str, object]:
    """One recovery at default settings."""
    x = interlayer.read_image(photo, generator.resolution)
    made, physics = measure(x, task, seed)
    solution = interlayer.solve(physics, made.y, generator, interlayer.METHODS[method](), seed=seed)
    return {
        **{name: round(value, 5) for name, value in metrics(solution.x_hat, x).items()},
        "steps": len(solution.losses),
        "seconds": round(solution.seconds, 1),
        "stages": [
            [record.stage.layer, round(metrics(record.x_hat, x)["psnr"], 2)]
            for record in solution.stages
        ],
        "version": interlayer.__version__,
    }


def print_table(rows: list[dict], task: str, methods: list[str]) -> None:
    """PSNR in dB: a line per photo, a column per method, and the mean."""
    photos = sorted({row["photo"] for row in rows})
    found = {(row["photo"], row["method"]): row["psnr"] for row in rows}
    print(f"\n| {task} | {' | '.join(methods)} |\n|---|{'---|' * len(methods)}")
    for photo in photos:
        print(f"| {photo} | {' | '.join(f'{found[photo, m]:.2f}' for m in methods)} |")
    means = [sum(found[photo, m] for photo in photos) / len(photos) for m in methods]
    print(f"| **mean** | {' | '.join(f'{mean:.2f}' for mean in means)} |")


if __name__ == "__main__":
    main()
