"""Images x tasks x methods -> tables of PSNR and LPIPS, and contact sheets to look at.

Every result is kept as it comes, and the same command resumes; with ``--shard 1/2`` and ``2/2`` two
processes share the work, and a third one with ``--tables`` prints what there is. With
``--together`` the images of a task are one batch, which pays where the operator takes the time.

    python benchmarks/quality.py PHOTO... --tasks circulant:0.01 inpaint:0.01 --methods csgm ilo

No method sees the truth; it is used after a run, to fill the tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isnan, nan
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from deepinv.loss.metric import PSNR
from torch import Tensor

import interlayer
from interlayer.evaluation.quality import metrics
from interlayer.media.images import contact_sheet
from interlayer.media.measured_pictures import picture_of
from interlayer.problem.measurements import measure
from interlayer.solver.by_name import reconstruct
from interlayer.weights import cache

FOLDER = Path(__file__).parent / "results"
GENERATED = "generated:"
HEIGHT = 256


@dataclass(frozen=True)
class Job:
    """One recovery at default settings but for the number of steps."""

    image: str
    task: str
    method: str
    seed: int
    steps: int | None

    def key(self) -> dict[str, object]:
        """What tells its row from the others'."""
        name = self.image if self.image.startswith(GENERATED) else Path(self.image).stem
        key: dict[str, object] = {"photo": name, "task": self.task, "method": self.method}
        return key | {"seed": self.seed} | ({"budget": self.steps} if self.steps else {})

    def file(self, what: str) -> str:
        """Where a small picture goes."""
        task = self.task.replace(":", "-").replace("/", "_")
        return f"{task}/{self.key()['photo']}.{what}.png".replace(":", "-")


def run(jobs: list[Job], generator: interlayer.Generator, pictures: Path) -> list[dict]:
    """A row of figures for each of jobs that differ in the image alone, and small pictures."""
    x = torch.cat([open_image(job.image, generator) for job in jobs])
    task, method, seed, steps = jobs[0].task, jobs[0].method, jobs[0].seed, jobs[0].steps
    made, physics = measure(x, task, seed)
    psnr, oracle = PSNR(), torch.full((len(jobs),), -inf)
    for state in reconstruct(physics, made.y, generator, method, steps=steps, seed=seed):
        oracle = oracle.maximum(psnr(state.x, x))
    solution = state.solution()
    rows = []
    for i, job in enumerate(jobs):
        one = slice(i, i + 1)
        for what, image in (
            ("truth", x[one]),
            ("measured", picture_of(made.y[one], HEIGHT)),
            (method, solution.x_hat[one]),
        ):
            path = pictures / job.file(what)
            path.parent.mkdir(parents=True, exist_ok=True)
            interlayer.write_image(path, small(image))
        figures = metrics(solution.x_hat[one], x[one]) | {"oracle_psnr": oracle[i].item()}
        stages = [
            [record.stage.layer, round(psnr(record.x_hat[one], x[one]).item(), 2)]
            for record in solution.stages
        ]
        rows.append(
            {name: round(value, 5) for name, value in figures.items()}
            | {"steps": len(solution.losses), "seconds": round(solution.seconds, 1)}
            | ({"together": len(jobs)} if len(jobs) > 1 else {})
            | {"stages": stages, "version": interlayer.__version__}
        )
    return rows


def open_image(name: str, generator: interlayer.Generator) -> Tensor:
    """A photo, or the generator's own sample ``generated:SEED``."""
    if name.startswith(GENERATED):
        with torch.no_grad():
            return generator(generator.sample([int(name.removeprefix(GENERATED))])).clamp(0, 1)
    return interlayer.read_image(name, generator.resolution)


def small(x: Tensor) -> Tensor:
    """The image at the height of contact sheets."""
    return F.interpolate(x, (HEIGHT, HEIGHT), mode="area")


def main() -> None:
    """Run what the results file lacks, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="+", help="photos, or generated:SEED")
    parser.add_argument("--tasks", nargs="+", default=["circulant:0.01", "inpaint:0.01"])
    parser.add_argument("--methods", nargs="+", default=["csgm", "ilo", "auto"])
    parser.add_argument("--steps", type=int, help="in all; default: the method's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=FOLDER / "recovery.jsonl")
    parser.add_argument("--pictures", type=Path, default=Path("build/recovery"))
    parser.add_argument("--shard", default="1/1", help="i/n: the i-th of every n jobs")
    parser.add_argument("--together", action="store_true", help="all images of a task in one batch")
    parser.add_argument("--tables", action="store_true", help="run nothing")
    options = parser.parse_args()
    groups = [
        [Job(image, task, method, options.seed, options.steps) for image in images]
        for task in options.tasks
        for images in ([options.images] if options.together else zip(options.images))
        for method in options.methods
    ]
    jobs = [job for group in groups for job in group]
    if not options.tables:
        shard, of = (int(number) for number in options.shard.split("/"))
        run_missing(groups[shard - 1 :: of], options.results, options.pictures)
    rows = [row for row in read(options.results) if any(job.key() == key(row) for job in jobs)]
    print_tables(rows, options.tasks, options.methods)
    print_means(rows, options.tasks, options.methods)
    for task in options.tasks:
        draw_sheet([job for job in jobs if job.task == task], options.methods, options.pictures)


def run_missing(groups: list[list[Job]], results: Path, pictures: Path) -> None:
    """Run the jobs that have no row yet, those of a group as one batch, and append theirs."""
    generator = interlayer.load("faces")
    cache.pull("perceptual")  # `metrics` measures the distance only with weights that are there
    results.parent.mkdir(parents=True, exist_ok=True)
    for number, group in enumerate(groups):
        done = [key(row) for row in read(results)]
        jobs = [job for job in group if job.key() not in done]
        if not jobs:
            continue
        try:
            rows = run(jobs, generator, pictures)
        except interlayer.InputError as error:
            rows = [{"refused": str(error)}] * len(jobs)
        for job, row in zip(jobs, rows, strict=True):
            with results.open("a") as file:
                file.write(json.dumps(job.key() | row) + "\n")
            print(f"{number + 1}/{len(groups)}", job.key(), row, file=sys.stderr, flush=True)


def key(row: dict) -> dict[str, object]:
    """The part of a row that tells it from the others."""
    return {k: row[k] for k in ("photo", "task", "method", "seed", "budget") if k in row}


def read(path: Path) -> Iterator[dict]:
    """The rows of a results file that may not exist yet."""
    return map(json.loads, path.read_text().splitlines() if path.exists() else [])


def print_tables(rows: list[dict], tasks: list[str], methods: list[str]) -> None:
    """PSNR in dB (LPIPS): a line per task and image, a column per method."""
    found = {(row["task"], row["photo"], row["method"]): row for row in rows}
    print(f"| task | image | {' | '.join(methods)} |\n|---|---|{'---|' * len(methods)}")
    for task in tasks:
        for photo in dict.fromkeys(row["photo"] for row in rows if row["task"] == task):
            cells = [cell(found.get((task, photo, method))) for method in methods]
            print(f"| `{task}` | {photo} | {' | '.join(cells)} |")


def print_means(rows: list[dict], tasks: list[str], methods: list[str]) -> None:
    """Means over the images of a task, the best PSNR and distance bold.

    The last column is how far `auto` stays below the best iterate of its own path, the most of all
    images: what an oracle that knows the truth would have gained by stopping elsewhere. For rows
    that do not say, the ends of stages stand for all iterates.
    """
    print(f"\n| task | {' | '.join(methods)} | oracle's gain |\n|---|{'---|' * len(methods)}---|")
    for task in tasks:
        means: dict[str, tuple[float, float]] = {}
        for method in methods:
            found = [r for r in rows if (r["task"], r["method"]) == (task, method) and "psnr" in r]
            if found:
                means[method] = fmean(r["psnr"] for r in found), fmean(map(distance, found))
        if not means:
            continue
        most = max(psnr for psnr, _ in means.values())
        least = min((d for _, d in means.values() if not isnan(d)), default=nan)
        cells = [mean_cell(means.get(method), most, least) for method in methods]
        paths = [r for r in rows if (r["task"], r["method"]) == (task, "auto")]
        gains = [
            r.get("oracle_psnr", max(psnr for _, psnr in r["stages"])) - r["psnr"] for r in paths
        ]
        gain = f"{max(0.0, *gains):.2f}" if gains else ""
        print(f"| `{task}` | {' | '.join(cells)} | {gain} |")


def mean_cell(mean: tuple[float, float] | None, most: float, least: float) -> str:
    """PSNR and perceptual distance, each bold if it is the best."""
    if mean is None:
        return ""
    bests = zip(mean, (most, least), (".2f", ".3f"), strict=True)
    psnr, distance = (f"**{m:{f}}**" if m == best else f"{m:{f}}" for m, best, f in bests)
    return psnr if isnan(mean[1]) else f"{psnr} ({distance})"


def distance(row: dict) -> float:
    """The perceptual distance that there is."""
    return row.get("lpips", row.get("stlpips", nan))


def cell(row: dict | None) -> str:
    """PSNR and perceptual distance."""
    if row is None or "psnr" not in row:
        return "" if row is None else "does not fit"
    return f"{row['psnr']:.2f} ({distance(row):.3f})"


def draw_sheet(jobs: list[Job], methods: list[str], pictures: Path) -> None:
    """One row of small pictures per image."""
    rows = []
    for job in {job.image: job for job in jobs}.values():
        panels = [(name, pictures / job.file(name)) for name in ("truth", "measured", *methods)]
        shown = [(name, interlayer.read_image(path)) for name, path in panels if path.exists()]
        if shown:
            rows.append(contact_sheet(shown, HEIGHT))
    if rows:
        width = max(row.shape[-1] for row in rows)
        padded = [F.pad(r, (0, width - r.shape[-1]), value=1.0) for r in rows]
        folder = jobs[0].file("").split("/")[0]
        interlayer.write_image(pictures / f"{folder}.png", torch.cat(padded, 2))


if __name__ == "__main__":
    main()
