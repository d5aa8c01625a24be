"""A study as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import fmean, pstdev

import jinja2
from markupsafe import Markup

from interlayer.errors import InputError
from interlayer.evaluation.studies.compare import HIGHER_IS_BETTER, by_image, paired
from interlayer.evaluation.studies.figures import (
    SYMBOLS,
    TITLES,
    calibration_charts,
    cost_chart,
    draw,
    inline_svg,
    level_charts,
    look,
    stage_charts,
)
from interlayer.evaluation.studies.grids import strips
from interlayer.evaluation.studies.rerun import commands
from interlayer.evaluation.studies.store import ORACLE, Row, Store, with_variants
from interlayer.media.files import replacing, writable_folder

CONFIDENCE = 0.95
HEADS = TITLES | {
    "mse": "1000 × MSE",
    "stlpips": "ST-LPIPS",
    ORACLE: "oracle’s PSNR",
    "seconds": "seconds",
}
UNJUDGED = {ORACLE: 2, "seconds": 1}  # decimals


@dataclass(frozen=True)
class Entry:
    """One number of a table.

    Attributes:
        text: mean and spread as text.
        best: whether no other method's mean is better.
        level: whether it cannot be told from the best: the confidence interval of the paired
            difference holds 0.
    """

    text: str
    best: bool = False
    level: bool = False


@dataclass(frozen=True)
class Table:
    """Figures of the methods on one task."""

    task: str
    images: int
    metrics: Sequence[str]
    lines: Mapping[str, Sequence[Entry]]


def write_report(store: Store, path: Path, pictures: int = 3) -> None:
    """Write the page of a study.

    Args:
        store: results of the study.
        path: file of the page.
        pictures: number of images shown per task, from the first one on, not chosen.

    Raises:
        InputError: if nothing has been recovered yet, or the page cannot be written.
    """
    rows = with_variants(store.rows())
    done = [row for row in rows if row["status"] == "done"]
    methods = _methods(done, store.path)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = (
        files("interlayer.evaluation.studies").joinpath("report.html.jinja").read_text("utf-8")
    )
    panels = {
        "levels": level_charts(done),
        "stages": stage_charts(done, store.stages()),
        "cost": [cost_chart(done)],
        "calibration": calibration_charts(done),
    }
    page = environment.from_string(template).render(
        name=store.path.stem,
        count={s: sum(row["status"] == s for row in rows) for s in ("done", "failed", "pending")},
        images=len({row["image_sha256"] for row in rows}),
        methods=legend(methods),
        tables=tables(done, methods),
        oracle=any(row[ORACLE] is not None for row in done),
        grids=strips(store, done, methods, pictures),
        charts={
            part: [{"family": c.title, "svg": Markup(inline_svg(c, methods))} for c in charts]
            for part, charts in panels.items()
        },
        failures=failures(rows),
        calibration=calibration(done),
        commands=commands(store.rows(), store.path.name),
        environments=store.environments(),
        seconds=sum(row["seconds"] for row in done),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def write_figures(store: Store, folder: Path) -> list[Path]:
    """Write every curve of the page as SVG, PNG and PDF.

    Raises:
        InputError: if nothing has been recovered yet, or the folder cannot be written.
    """
    done = [row for row in with_variants(store.rows()) if row["status"] == "done"]
    methods, written = _methods(done, store.path), list[Path]()
    charts = [*level_charts(done), *stage_charts(done, store.stages()), cost_chart(done)]
    charts += calibration_charts(done)
    writable_folder(folder)
    for chart in charts:
        figure = draw(chart, methods)
        figure.axes[0].legend(frameon=False)
        for suffix in ("svg", "png", "pdf"):
            path = folder / f"{chart.name.replace(':', '-').replace('/', '_')}.{suffix}"
            with replacing(path) as temporary:
                figure.savefig(temporary, dpi=200, facecolor="white")
            written.append(path)
    return written


def legend(methods: Sequence[str]) -> list[tuple[str, int, str]]:
    """Every method with the number of its colour and its marker, as the charts have them."""
    looks = [look(place) for place in range(len(methods))]
    return [(name, c, SYMBOLS[m]) for name, (c, m) in zip(methods, looks, strict=True)]


def _methods(done: Sequence[Row], path: Path) -> list[str]:
    if not done:
        raise InputError(f"{path} has no results yet; run the study first")
    return list(dict.fromkeys(row["method"] for row in done))


def tables(done: Sequence[Row], methods: Sequence[str]) -> list[Table]:
    """Mean and standard deviation over images, task by task, the best marked."""
    figures = [m for m in HEADS if any(row[m] is not None for row in done)]
    values = {metric: by_image(done, metric) for metric in figures}
    found: list[Table] = []
    for task in dict.fromkeys(row["task"] for row in done):
        present = [method for method in methods if (task, method) in values["seconds"]]
        columns = [
            _column({m: values[metric].get((task, m), {}) for m in present}, metric)
            for metric in figures
        ]
        images = {row["image_sha256"] for row in done if row["task"] == task}
        lines = {name: [column[name] for column in columns] for name in present}
        found.append(Table(task, len(images), [HEADS[metric] for metric in figures], lines))
    return found


def _column(images: Mapping[str, Mapping[str, float]], metric: str) -> dict[str, Entry]:
    """One metric of every method; the interval of each difference from the best is Bonferroni's."""
    means = {name: fmean(each.values()) for name, each in images.items() if each}
    if metric in UNJUDGED or not means:
        shown = {name: f"{mean:.{UNJUDGED.get(metric, 0)}f}" for name, mean in means.items()}
        return {name: Entry(shown.get(name, "–")) for name in images}
    best = (max if metric in HIGHER_IS_BETTER else min)(means, key=lambda name: means[name])
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(images) - 1)
    column: dict[str, Entry] = {}
    for name, each in images.items():
        if not each:
            column[name] = Entry("–")
            continue
        count, _, low, high = paired(images[best], each, confidence)
        text = _formatted(means[name], metric)
        if len(each) > 1:
            text += f" ± {_formatted(pstdev(each.values()), metric)}"
        column[name] = Entry(text, means[name] == means[best], count > 1 and low <= 0 <= high)
    return column


def _formatted(value: float, metric: str) -> str:
    if metric == "mse":
        return f"{1000 * value:.2f}"
    return f"{value:.2f}" if metric == "psnr" else f"{value:.3f}"


def calibration(done: Iterable[Row]) -> list[tuple[str, ...]]:
    """Task, method, coverage, mean spread and true error of every cell that was sampled."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in done:
        if row["coverage"] is not None:
            found.setdefault((row["task"], row["method"]), []).append(row)
    return [
        (
            *cell,
            f"{fmean(row['coverage'] for row in rows):.2f}",
            f"{fmean(row['std'] for row in rows):.3f}",
            f"{fmean(row['mse'] for row in rows) ** 0.5:.3f}",
        )
        for cell, rows in found.items()
    ]


def failures(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Failed jobs by their error."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["status"] == "failed":
            found.setdefault(row["error"], []).append(row)
    return found
