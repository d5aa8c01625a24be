"""The curves of a study as small matplotlib figures, for paper and for the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from statistics import fmean, pstdev

import matplotlib
from matplotlib.figure import Figure

from interlayer.bench.compare import by_image
from interlayer.bench.store import METRICS, Row
from interlayer.tasks import split_task

TITLES = {
    "psnr": "PSNR in dB",
    "ssim": "SSIM",
    "mse": "mean squared error",
    "lpips": "LPIPS",
    "stlpips": "shift-tolerant LPIPS",
}
# Okabe and Ito's colours, which those who see fewer colours can tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
MARKERS = "osD^vPX*"
INK, GRID = "#222222", "#dddddd"


@dataclass(frozen=True)
class Line:
    """One method's line: points, and how far the results spread above and below them."""

    x: Sequence[float]
    y: Sequence[float]
    spread: Sequence[float] = ()


@dataclass(frozen=True)
class Chart:
    """A panel: one line per method, or points where they are not to be joined."""

    name: str
    title: str
    xlabel: str
    ylabel: str
    lines: Mapping[str, Line]
    log_x: bool = False
    log_y: bool = False
    joined: bool = True


def family_and_level(task: str) -> tuple[str, float] | None:
    """A task without its first part's level, and that level; ``None`` if it is no number.

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
    """Every metric against the level, for every kind of task with several levels.

    A point is the mean over images (each the mean over its seeds), the spread their standard
    deviation: Figure 2 of arXiv 2102.07364.
    """
    rows = [row for row in rows if row["status"] == "done" and family_and_level(row["task"])]
    charts: list[Chart] = []
    for metric in METRICS:
        points: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
        for (task, method), images in by_image(rows, metric).items():
            kind = family_and_level(task)
            assert kind is not None
            values = list(images.values())
            point = kind[1], fmean(values), pstdev(values)
            points.setdefault(kind[0], {}).setdefault(method, []).append(point)
        for family, methods in points.items():
            lines = {name: Line(*zip(*sorted(each), strict=True)) for name, each in methods.items()}
            levels = {level for line in lines.values() for level in line.x}
            if len(levels) > 1:
                wide = min(levels) > 0 and max(levels) >= 8 * min(levels)
                label = f"level of {family}"
                charts.append(
                    Chart(f"{family}-{metric}", family, label, TITLES[metric], lines, log_x=wide,
                          log_y=metric == "mse")
                )  # fmt: skip
    return sorted(charts, key=lambda chart: chart.title)


def stage_charts(rows: Iterable[Row], stages: Iterable[Row]) -> list[Chart]:
    """PSNR against the truth after every stage, by steps; no method sees it."""
    job = {row["id"]: row for row in rows if row["status"] == "done"}
    found: dict[str, dict[str, dict[int, list[tuple[int, float]]]]] = {}
    steps: dict[str, int] = {}
    for stage in stages:
        if stage["job"] not in job:
            continue
        row = job[stage["job"]]
        steps[row["id"]] = steps.get(row["id"], 0) + stage["steps"]
        at = found.setdefault(row["task"], {}).setdefault(row["method"], {})
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
    """Mean PSNR against mean seconds, one point per task and method."""
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
    return Chart("cost", title, "seconds per image", TITLES["psnr"], lines, True, joined=False)


def draw(chart: Chart, methods: Sequence[str]) -> Figure:
    """The panel; a method's colour and marker are those of its place in ``methods``."""
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 10}):
        figure = Figure(figsize=(4.4, 3.2), layout="constrained")
        axes = figure.add_subplot()
        for name, line in chart.lines.items():
            place = methods.index(name)
            colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
            style = "-" if chart.joined else "none"
            axes.plot(line.x, line.y, style, color=colour, marker=marker, markersize=5, label=name)
            if line.spread:
                pairs = list(zip(line.y, line.spread, strict=True))
                low = [max(y - s, 0) if chart.log_y else y - s for y, s in pairs]
                axes.fill_between(line.x, low, [y + s for y, s in pairs], color=colour, alpha=0.15,
                                  linewidth=0)  # fmt: skip
        if chart.log_x:
            axes.set_xscale("log")
        if chart.log_y:
            axes.set_yscale("log", nonpositive="clip")
        axes.set_title(chart.title, color=INK, fontsize=10, fontweight="bold", loc="left")
        axes.set_xlabel(chart.xlabel, color=INK)
        axes.set_ylabel(chart.ylabel, color=INK)
        axes.tick_params(colors=INK, which="both")
        axes.grid(color=GRID, linewidth=0.8)
        axes.spines[:].set_color(GRID)
        axes.patch.set_alpha(0)
        figure.patch.set_alpha(0)
    return figure


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
