"""Curves of a study as small matplotlib figures, for paper and for the page."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from statistics import fmean, pstdev

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interlayer.evaluation.studies.compare import by_image
from interlayer.evaluation.studies.store import Row
from interlayer.problem.tasks import split_task

TITLES = {
    "psnr": "PSNR in dB",
    "ssim": "SSIM",
    "mse": "mean squared error",
    "lpips": "LPIPS",
    "stlpips": "shift-tolerant LPIPS",
}
LEVELS = {
    "inpaint": "share of the pixels that are known",
    "box": "share of the pixels that are missing",
    "superres": "times smaller along each side",
    "superres-avg": "times smaller along each side",
    "circulant": "measurements per unknown",
    "gaussian": "measurements",
    "phase": "measurements per unknown",
    "deblur": "standard deviation of the blur in pixels",
    "jpeg": "JPEG quality",
    "denoise": "standard deviation of the noise",
    "denoise-poisson": "noise per photon",
    "denoise-bernoulli": "share of the pixels that are black",
}
# Okabe and Ito's colours, which those who see fewer colours can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
MARKERS, SYMBOLS = "osD^vPX*", "●■◆▲▼✚✖★"  # as matplotlib calls them, and as text
MOST_TICKS = 7
SMALLEST_ERROR = 1e-12  # exact estimates have a place on logarithmic axes, too
INK, GRID = "#222222", "#dddddd"


@dataclass(frozen=True)
class Line:
    """Points of one method, and the ends of a band around them."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """Panel with one line per method, or points where they are not to be joined."""

    name: str
    title: str
    xlabel: str
    ylabel: str
    lines: Mapping[str, Line]
    ticks: Sequence[float] = ()
    log_x: bool = False
    log_y: bool = False
    joined: bool = True
    diagonal: bool = False


def family_and_level(task: str) -> tuple[str, float] | None:
    """Task without its first part's level, and that level; ``None`` if it is no number.

    >>> family_and_level("superres:8+denoise:0.1"), family_and_level("half:left")
    (('superres+denoise:0.1', 8.0), None)
    """
    first, *others = split_task(task)
    name, _, level = first.partition(":")
    try:
        return "+".join([name, *others]), float(level)
    except ValueError:
        return None


def level_charts(rows: Iterable[Row]) -> list[Chart]:
    """Charts of every metric against the level, for every kind of task with several levels.

    A point is the mean over images (each the mean over its seeds), the band a standard deviation to
    each side: Figure 2 of arXiv 2102.07364. The axis of the squared error is logarithmic, and so
    is the standard deviation there: ``mean * exp(±std(log(values)))``.
    """
    rows = [row for row in rows if row["status"] == "done" and family_and_level(row["task"])]
    charts: list[Chart] = []
    for metric in TITLES:
        points: dict[str, dict[str, list[tuple[float, float, float, float]]]] = {}
        for (task, method), images in by_image(rows, metric).items():
            kind = family_and_level(task)
            assert kind is not None
            point = kind[1], *_band(list(images.values()), metric == "mse")
            points.setdefault(kind[0], {}).setdefault(method, []).append(point)
        for family, methods in points.items():
            lines = {name: Line(*zip(*sorted(each), strict=True)) for name, each in methods.items()}
            levels = sorted({level for line in lines.values() for level in line.x})
            if len(levels) > 1:
                wide = levels[0] > 0 and levels[-1] >= 8 * levels[0]
                label = LEVELS.get(family.partition("+")[0], f"level of {family}")
                charts.append(
                    Chart(f"{family}-{metric}", family, label, TITLES[metric], lines,
                          levels if len(levels) <= MOST_TICKS else (), log_x=wide,
                          log_y=metric == "mse")
                )  # fmt: skip
    return sorted(charts, key=lambda chart: chart.title)


def _band(values: Sequence[float], logarithmic: bool) -> tuple[float, float, float]:
    """Mean, and a standard deviation below and above it."""
    mean = fmean(values)
    if not logarithmic:
        return mean, mean - pstdev(values), mean + pstdev(values)
    factor = math.exp(pstdev([math.log(max(value, SMALLEST_ERROR)) for value in values]))
    return mean, mean / factor, mean * factor


def stage_charts(rows: Iterable[Row], stages: Iterable[Row]) -> list[Chart]:
    """Charts of the PSNR against the truth, which no method sees, after every stage."""
    job = {row["id"]: row for row in rows if row["status"] == "done"}
    tasks = dict.fromkeys(row["task"] for row in job.values())
    found: dict[str, dict[str, dict[int, list[tuple[int, float]]]]] = {task: {} for task in tasks}
    steps: dict[str, int] = {}
    for stage in stages:
        if stage["job"] not in job:
            continue
        row = job[stage["job"]]
        steps[row["id"]] = steps.get(row["id"], 0) + stage["steps"]
        at = found[row["task"]].setdefault(row["method"], {})
        at.setdefault(stage["number"], []).append((steps[row["id"]], stage["psnr"]))
    return [
        Chart(
            f"stages-{task}", task, "steps", "PSNR in dB after a stage",
            {
                method: Line(
                    [fmean(x for x, _ in each) for each in at.values()],
                    [fmean(y for _, y in each) for each in at.values()],
                )
                for method, at in methods.items()
            },
        )
        for task, methods in found.items()
    ]  # fmt: skip


def cost_chart(rows: Iterable[Row]) -> Chart:
    """Chart of mean PSNR against mean seconds, one point per task and method."""
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if row["status"] == "done" and row["seconds"]:
            found.setdefault(row["method"], {}).setdefault(row["task"], []).append(row)
    lines = {
        method: Line(*zip(*((_mean(e, "seconds"), _mean(e, "psnr")) for e in tasks.values()),
                          strict=True))
        for method, tasks in found.items()
    }  # fmt: skip
    title = "cost against quality: one point per task"
    return Chart(
        "cost", title, "seconds per image", TITLES["psnr"], lines, log_x=True, joined=False
    )


def calibration_charts(rows: Iterable[Row]) -> list[Chart]:
    """Chart of the true error against the standard deviation of samples, if there are any.

    One point per task and method. On the diagonal samples spread as far as their mean errs; above
    it they promise too much.
    """
    found: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if row["status"] == "done" and row["std"] is not None:
            found.setdefault(row["method"], {}).setdefault(row["task"], []).append(row)
    lines = {
        method: Line(
            [_mean(cell, "std") for cell in tasks.values()],
            [_mean(cell, "mse") ** 0.5 for cell in tasks.values()],
        )
        for method, tasks in found.items()
    }
    title = "one point per task"
    xlabel, ylabel = "mean standard deviation of the samples", "root mean squared error"
    chart = Chart("calibration", title, xlabel, ylabel, lines, joined=False, diagonal=True)
    return [chart] if lines else []


def draw(chart: Chart, methods: Sequence[str]) -> Figure:
    """Draw the panel as a figure of its own; see `plot`."""
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(3.9, 3.0), layout="constrained")
        plot(chart, figure.add_subplot(), methods)
        figure.patch.set_alpha(0)
    return figure


def look(place: int) -> tuple[int, int]:
    """Numbers of the colour and the marker of the method at a place; no two of 64 are alike.

    >>> look(1), look(9)
    ((1, 1), (1, 2))
    """
    return place % len(COLOURS), (place + place // len(COLOURS)) % len(MARKERS)


def plot(chart: Chart, axes: Axes, methods: Sequence[str]) -> None:
    """Draw the panel; a method's colour and marker are those of its place in ``methods``."""
    with matplotlib.rc_context({"text.parse_math": False}):
        for name, line in chart.lines.items():
            place, mark = look(methods.index(name))
            colour, marker = COLOURS[place], MARKERS[mark]
            axes.plot(line.x, line.y, linestyle="-" if chart.joined else "none", color=colour,
                      marker=marker, markersize=5, label=name)  # fmt: skip
            if line.low:
                axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15,
                                  linewidth=0)  # fmt: skip
        if chart.diagonal:
            axes.axline((0, 0), slope=1, color=GRID, zorder=0)
        if chart.log_x:
            axes.set_xscale("log")
        if chart.log_y:
            axes.set_yscale("log", nonpositive="clip")
        if chart.ticks:
            axes.set_xticks(chart.ticks, [f"{level:g}" for level in chart.ticks])
            axes.set_xticks([], minor=True)
        axes.set_title(chart.title, color=INK, fontsize=10, fontweight="bold", loc="left")
        axes.set_xlabel(chart.xlabel, color=INK)
        axes.set_ylabel(chart.ylabel, color=INK)
        axes.tick_params(colors=INK, which="both")
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[:].set_color(GRID)
        axes.patch.set_alpha(0)


def inline_svg(chart: Chart, methods: Sequence[str]) -> str:
    """The panel as an SVG element whose colours are the page's variables.

    ``--ink``, ``--grid`` and ``--c0`` to ``--c7``, so that it is light or dark as the page is.
    """
    file = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": chart.name}):
        draw(chart, methods).savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    names = {INK: "--ink", GRID: "--grid"} | {c: f"--c{n}" for n, c in enumerate(COLOURS)}
    for colour, name in names.items():
        text = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var({name})", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{_plain(chart)}" ', 1)


def _plain(chart: Chart) -> str:
    return re.sub(r"[^\w .:+,-]", "", f"{chart.ylabel} against {chart.xlabel}, {chart.title}")


def _mean(rows: Sequence[Row], name: str) -> float:
    return fmean(row[name] for row in rows)
