"""Figures 1 to 5 of Daras et al., ICML 2021, arXiv 2102.07364, with the built-in generator.

    python examples/paper_figures.py [1 2 3 4 5] [--quick] [--out FOLDER] [PHOTO...]

1: methods side by side; 2: error against the level; 3: the same as pictures, with details;
4: what a classifier names, drawn by the generator; 5: faces on their way there. Without photos the
images are a sample photo and generated faces. Results are kept in ``--work`` as they come: the same
command goes on where it stopped. docs/figures.md shows what came out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

import interlayer as il
from interlayer.app.console import INTERRUPTED, say, watched
from interlayer.app.studies import execute
from interlayer.evaluation.studies import Job, Store, local_slots, plan, writing
from interlayer.evaluation.studies.figures import level_charts, plot
from interlayer.evaluation.studies.jobs import open_generator
from interlayer.evaluation.studies.sources import GENERATED, image_digest
from interlayer.evaluation.studies.spec import checked
from interlayer.evaluation.studies.store import Row
from interlayer.generators.base import draw_truths
from interlayer.media.files import replacing, writable_folder
from interlayer.media.images import contact_sheet, to_picture
from interlayer.media.samples import SAMPLE, sample_photo
from interlayer.memory import keep_freed_memory
from interlayer.networks.classifiers import Classifier, load_classifier
from interlayer.problem import measure
from interlayer.recipes.imagining import (
    TRUNCATION,
    ClassifierPhysics,
    Near,
    class_probability,
    imagine,
    imagine_pixels,
    perceptual_distance,
    towards_class,
)
from interlayer.solver import GeneratorPoint
from interlayer.weights.precision import precision_here

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
IMAGES = ("sample:astronaut", "generated:0-2")
KEPT = 512  # pixels a side of the pictures that are kept
PROBLEMS = ("inpaint:0.01", "box:0.1", "superres:32", "colorize", "denoise:0.5")
SIDE_BY_SIDE = ("pulse", "pulse-lpips", "pulse-mse-lpips", "csgm", "ilo", "auto")
DETAIL = (0.33, 0.27, 0.3)  # top, left and side of what figure 3 enlarges, an eye where aligned
CLASSES = ("bull frog", "volcano", "goldfish", "tabby")
NEARNESS = (80, 20, 5)  # weights of staying near the image


class Sweep(NamedTuple):
    """Levels of a task, and the classical method that suits it."""

    levels: tuple[str, ...]
    classical: str


SWEEPS = {
    "inpaint": Sweep(("0.001", "0.003", "0.01", "0.03", "0.1"), "interpolation"),
    "superres": Sweep(("4", "8", "16", "32", "64"), "bicubic"),
    "circulant": Sweep(("0.001", "0.003", "0.01", "0.03", "0.1"), "tv"),
    "denoise": Sweep(("0.05", "0.1", "0.25", "0.5", "1"), "bm3d"),
}


class Effort(NamedTuple):
    """How much is computed.

    Attributes:
        quality: of every recovery, as for `reconstruct`.
        problems: rows of figure 1.
        every: step between the levels of figures 2 and 3, 1 for all levels.
        images: of figures 2 and 3, at most.
        classes: rows of figure 4.
        steps: of drawing a class.
    """

    quality: str = "normal"
    problems: int = len(PROBLEMS)
    every: int = 1
    images: int = 4
    classes: int = len(CLASSES)
    steps: int = 72


QUICK = Effort("draft", problems=4, every=2, images=1, classes=2, steps=48)


class Setup(NamedTuple):
    """What all figures share."""

    effort: Effort
    images: Sequence[str]
    generator: str
    precision: str
    work: Path
    out: Path

    def jobs(self, tasks: Sequence[str], methods: Sequence[str]) -> list[Job]:
        """Recoveries of all images."""
        values = {"images": self.images, "tasks": tasks, "methods": methods, "pictures": KEPT}
        values |= {"generator": self.generator, "precision": self.precision}
        return plan(checked(values | {"quality": self.effort.quality}), say)

    def pair(self) -> list[str]:
        """The first two images, by default a photo and a generated face."""
        jobs = self.jobs(PROBLEMS[:1], SIDE_BY_SIDE[:1])
        return [job.source for job in jobs][:2]

    def model(self) -> il.Generator:
        """The generator."""
        return open_generator(self.generator, None, self.precision)


def side_by_side(setup: Setup) -> list[Job]:
    """Figure 1: every problem with one image, in turn the first and the second."""
    problems, sources = PROBLEMS[: setup.effort.problems], setup.pair()
    chosen = {task: sources[place % len(sources)] for place, task in enumerate(problems)}
    jobs = [job for job in setup.jobs(problems, SIDE_BY_SIDE) if job.source == chosen[job.task]]
    return sorted(jobs, key=lambda job: problems.index(job.task))


def sweeps(setup: Setup) -> list[Job]:
    """Figures 2 and 3: every level of every sweep."""
    jobs: list[Job] = []
    for name, (levels, classical) in SWEEPS.items():
        tasks = [f"{name}:{level}" for level in levels[:: setup.effort.every]]
        jobs += setup.jobs(tasks, ("csgm", "ilo", "auto", classical))
    sources = list(dict.fromkeys(job.source for job in jobs))[: setup.effort.images]
    return [job for job in jobs if job.source in sources]


def draw_side_by_side(study: Store, rows: Sequence[Row]) -> Tensor:
    """Figure 1: a row per problem, a column per method."""
    sheets: list[Tensor] = []
    for task in dict.fromkeys(row["task"] for row in rows):
        found = {row["method"]: row for row in rows if row["task"] == task}
        truth, measured = given(study, next(iter(found.values())))
        made = dict(zip(found, recovered(study, list(found.values())), strict=True))
        nothing = torch.ones_like(truth[1])
        columns = [made.get(name, (f"{name}\ndoes not fit", nothing)) for name in SIDE_BY_SIDE]
        sheets.append(contact_sheet([truth, measured, *columns], 224))
    return stacked(sheets)


def draw_errors(rows: Sequence[Row]) -> Figure:
    """Figure 2: errors against the level, a column per task."""
    charts = {chart.name: chart for chart in level_charts(rows)}
    metrics = [m for m in ("mse", "lpips", "stlpips") if f"{next(iter(SWEEPS))}-{m}" in charts]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure = Figure(figsize=(3.6 * len(SWEEPS), 3.1 * len(metrics)), layout="constrained")
    axes = figure.subplots(len(metrics), len(SWEEPS), squeeze=False)
    for line, metric in zip(axes, metrics, strict=True):
        for axis, name in zip(line, SWEEPS, strict=True):
            plot(charts[f"{name}-{metric}"], axis, methods)
            axis.legend(frameon=False, fontsize=8)
    return figure


def draw_details(study: Store, rows: Sequence[Row]) -> Tensor:
    """Figure 3: a row per level of the first image, with an enlarged detail."""
    sheets: list[Tensor] = []
    first = [row for row in rows if row["source"] == rows[0]["source"]]
    for task in dict.fromkeys(row["task"] for row in first):
        found = [r for r in first if r["task"] == task and r["method"] in ("csgm", "ilo")]
        truth, measured = given(study, found[0])
        made = recovered(study, found)
        closer = [
            (f"{text.partition(chr(10))[0]}\nenlarged", crop(x)) for text, x in (truth, *made)
        ]
        sheets.append(contact_sheet([truth, measured, *made, *closer], 192))
    return stacked(sheets)


def given(study: Store, row: Row) -> list[tuple[str, Tensor]]:
    """The panels of the truth and of what was measured of it."""
    return [
        (f"truth\n{Path(row['source']).name}", picture(study, row["truth"])),
        (f"measured\n{row['task']}", picture(study, row["measured"])),
    ]


def recovered(study: Store, rows: Sequence[Row]) -> list[tuple[str, Tensor]]:
    """The panels of what methods made of it."""
    panels: list[tuple[str, Tensor]] = []
    for row in rows:
        seen = next((row[name] for name in ("lpips", "stlpips") if row[name] is not None), None)
        figures = f"{row['psnr']:.1f} dB" + (f", {seen:.2f}" if seen is not None else "")
        panels.append((f"{row['method']}\n{figures}", picture(study, row["recovered"])))
    return panels


def picture(study: Store, name: str) -> Tensor:
    """One of the pictures that are kept."""
    return il.read_image(study.picture(name))


def crop(x: Tensor) -> Tensor:
    """The detail of figure 3."""
    top, left, side = (round(part * x.shape[-1]) for part in DETAIL)
    return x[..., top : top + side, left : left + side]


def draw_class(setup: Setup, seed: int) -> Tensor:
    """A row of figure 4: a class, drawn from a generated face and from the face's bare pixels."""
    model, judge, name = setup.model(), load_classifier(), CLASSES[seed]
    start = GeneratorPoint(model.sample([seed], TRUNCATION))
    method = towards_class(setup.effort.steps).within(model.num_layers)
    settings, first = il.Settings(seed, start=start), start.image(model)
    states = imagine(model, ClassifierPhysics(judge), name, method=method, settings=settings)
    panels = {
        f"generated face {seed}": first,
        name: finished(states).x_hat,
        "its pixels alone": imagine_pixels(
            ClassifierPhysics(judge), first, name, steps=method.steps
        ),
    }
    return contact_sheet([(f"{k}\n{chance(judge, x, name)}", x) for k, x in panels.items()], 320)


def draw_morph(setup: Setup, source: str) -> Tensor:
    """A row of figure 5: an image on its way to the first class, ever less near to itself."""
    model, judge, distance = setup.model(), load_classifier(), perceptual_distance()
    x = opened(source, model)
    everything, quality = measure(x, "inpaint:1", seed=0), setup.effort.quality
    exact = il.Settings(holdout=0)
    nearest = finished(il.reconstruct(everything, model, "csgm", quality=quality, settings=exact))
    method = towards_class(setup.effort.steps).within(model.num_layers)
    panels = {Path(source).name: x, "nearest in the range": nearest.x_hat}
    for weight in NEARNESS:
        states = imagine(
            model,
            ClassifierPhysics(judge),
            CLASSES[0],
            method=method,
            near=Near(x, weight, distance),
            settings=il.Settings(start=nearest.point),
        )
        panels[f"weight {weight}"] = finished(states).x_hat
    lines = {
        k: f"{k}\n{chance(judge, panel, CLASSES[0])}, distance {distance(panel, x).item():.3f}"
        for k, panel in panels.items()
    }
    return contact_sheet([(lines[k], panel) for k, panel in panels.items()], 288)


def chance(judge: Classifier, x: Tensor, name: str) -> str:
    """How sure the classifier is of a class."""
    return f"{name} {100 * class_probability(judge, x, name).item():.1f} %"


def finished(states: Iterator[il.State]) -> il.Solution:
    """The solution of a run, with a bar; Ctrl-C ends the program."""
    solution, _, interrupted = watched(states)
    if interrupted:
        raise KeyboardInterrupt
    return solution


def opened(source: str, model: il.Generator) -> Tensor:
    """An image by the name that a study has for it."""
    if source.startswith(GENERATED):
        return draw_truths(model, [int(source.removeprefix(GENERATED))])
    if source.startswith(SAMPLE):
        return sample_photo(source.removeprefix(SAMPLE), model.resolution)
    return il.read_image(source, model.resolution)


def stacked(rows: Sequence[Tensor]) -> Tensor:
    """Sheets above each other, narrower ones filled up with white."""
    width = max(row.shape[-1] for row in rows)
    return torch.cat([F.pad(row, (0, width - row.shape[-1]), value=1.0) for row in rows], dim=2)


def kept(path: Path, make: Callable[[], Tensor]) -> Tensor:
    """A picture that is made once."""
    if not path.exists():
        il.write_image(path, make())
    return il.read_image(path)


def write_jpeg(path: Path, x: Tensor) -> None:
    with replacing(path) as temporary:
        to_picture(x).save(temporary, quality=88)
    say(f"{path} is written")


def recover(setup: Setup, figures: Sequence[int]) -> None:
    """Figures 1 to 3: run what is missing of one study, then draw."""
    jobs = {1: side_by_side(setup) if 1 in figures else []}
    jobs |= dict.fromkeys((2, 3), sweeps(setup) if {2, 3} & {*figures} else [])
    everything = list({job.id: job for figure in figures for job in jobs[figure]}.values())
    with writing(setup.work / "study.db") as study:
        study.plan(everything)
        execute(study, study.pending(everything, retry=True), local_slots(), 1, None)
        rows = {row["id"]: row for row in study.rows() if row["status"] == "done"}
        shown = {n: [rows[job.id] for job in jobs[n] if job.id in rows] for n in figures}
        for figure in figures:
            if not shown[figure]:
                why = f"interlayer bench status --store {study.path}"
                raise il.InputError(f"nothing was recovered for figure {figure}; {why} says why")
        if 1 in figures:
            write_jpeg(setup.out / "paper_figure1.jpg", draw_side_by_side(study, shown[1]))
        if 2 in figures:
            with replacing(setup.out / "paper_figure2.png") as temporary:
                draw_errors(shown[2]).savefig(temporary, dpi=110)
        if 3 in figures:
            pictures = [row for row in shown[3] if not row["task"].startswith("denoise")]
            write_jpeg(setup.out / "paper_figure3.jpg", draw_details(study, pictures))


def draw_imagined(setup: Setup, figures: Sequence[int]) -> None:
    """Figures 4 and 5: make the rows that are missing, then stack them."""
    steps = f"{setup.generator.replace('/', '_')}-{setup.effort.steps}"
    if 4 in figures:
        rows = [
            kept(
                setup.work / f"class-{steps}-{seed}.png", lambda seed=seed: draw_class(setup, seed)
            )
            for seed in range(setup.effort.classes)
        ]
        write_jpeg(setup.out / "paper_figure4.jpg", stacked(rows))
    if 5 in figures:
        rows = [
            kept(
                setup.work / f"morph-{steps}-{image_digest(source, '')[:12]}.png",
                lambda source=source: draw_morph(setup, source),
            )
            for source in setup.pair()
        ]
        write_jpeg(setup.out / "paper_figure5.jpg", stacked(rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("items", nargs="*", help="numbers of figures, by default all; and photos")
    parser.add_argument("--quick", action="store_true", help="25 minutes on two cores, not hours")
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder for the figures")
    parser.add_argument("--work", type=Path, default=Path("build/paper"), help="for what is kept")
    parser.add_argument("--generator", default="faces", help="named weights or a file")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), help="default: the faster")
    options = parser.parse_args(arguments)
    figures = sorted({int(item) for item in options.items if item.isdigit()}) or [1, 2, 3, 4, 5]
    if not {*figures} <= {1, 2, 3, 4, 5}:
        parser.error("there are figures 1 to 5")
    setup = Setup(
        QUICK if options.quick else Effort(),
        [item for item in options.items if not item.isdigit()] or IMAGES,
        options.generator,
        options.precision or str(precision_here()).removeprefix("torch."),
        writable_folder(options.work),
        writable_folder(options.out),
    )
    if recoveries := [figure for figure in figures if figure < 4]:
        recover(setup, recoveries)
    draw_imagined(setup, figures)


if __name__ == "__main__":
    keep_freed_memory()
    try:
        main()
    except il.InputError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        say("interrupted; the same command goes on")
        sys.exit(INTERRUPTED)
