"""A study as one HTML page that needs nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import fmean, pstdev

import jinja2
from markupsafe import Markup

from interlayer.bench.compare import HIGHER_IS_BETTER, by_image, paired
from interlayer.bench.figures import (
    COLOURS,
    TITLES,
    cost_chart,
    draw,
    inline_svg,
    level_charts,
    stage_charts,
)
from interlayer.bench.grids import grids
from interlayer.bench.spec import GENERATED
from interlayer.bench.store import METRICS, Row, Store, with_variants
from interlayer.errors import InputError
from interlayer.files import replacing, writable_folder, write_text

CONFIDENCE = 0.95
MANY_FILES = 20


@dataclass(frozen=True)
class Entry:
    """One number of a table.

    Attributes:
        text: mean and spread.
        best: whether no other method's mean is better.
        level: whether it cannot be told from the best: the confidence interval of the paired
            difference holds 0.
    """

    text: str
    best: bool = False
    level: bool = False


@dataclass(frozen=True)
class Table:
    """The methods on one task."""

    task: str
    images: int
    metrics: Sequence[str]
    lines: Mapping[str, Sequence[Entry]]


def write_report(store: Store, path: Path, pictures: int = 3) -> None:
    """Write the page of a study.

    Args:
        store: of the study.
        path: of the page.
        pictures: how many images are shown per task, from the first one on, not chosen.

    Raises:
        InputError: if nothing has been recovered yet, or the page cannot be written.
    """
    rows = with_variants(store.rows())
    done = [row for row in rows if row["status"] == "done"]
    methods = _methods(done, store.path)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = files("interlayer.bench").joinpath("report.html.jinja").read_text("utf-8")
    panels = {
        "levels": level_charts(done),
        "stages": stage_charts(done, store.stages()),
        "cost": [cost_chart(done)],
    }
    page = environment.from_string(template).render(
        name=store.path.stem,
        count={s: sum(row["status"] == s for row in rows) for s in ("done", "failed", "pending")},
        images=len({row["image_sha256"] for row in rows}),
        methods=[(name, place % len(COLOURS)) for place, name in enumerate(methods)],
        tables=tables(done, methods),
        grids=grids(store, done, methods, pictures),
        charts={
            part: [{"family": c.title, "svg": Markup(inline_svg(c, methods))} for c in charts]
            for part, charts in panels.items()
        },
        failures=[row for row in rows if row["status"] == "failed"],
        commands=commands(store.rows(), store.path.name),
        environments=store.environments(),
        seconds=sum(row["seconds"] for row in done),
    )
    try:
        write_text(path, page)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from None


def write_figures(store: Store, folder: Path) -> list[Path]:
    """Write every curve of the page as SVG, PNG and PDF.

    Raises:
        InputError: if nothing has been recovered yet, or the folder cannot be written.
    """
    done = [row for row in with_variants(store.rows()) if row["status"] == "done"]
    methods, written = _methods(done, store.path), list[Path]()
    charts = [*level_charts(done), *stage_charts(done, store.stages()), cost_chart(done)]
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


def _methods(done: Sequence[Row], path: Path) -> list[str]:
    if not done:
        raise InputError(f"{path} has no results yet; run the study first")
    return list(dict.fromkeys(row["method"] for row in done))


def tables(done: Sequence[Row], methods: Sequence[str]) -> list[Table]:
    """Mean and standard deviation over images, task by task, the best marked."""
    measured = [m for m in METRICS if any(row[m] is not None for row in done)]
    values = {metric: by_image(done, metric) for metric in (*measured, "seconds")}
    found: list[Table] = []
    for task in dict.fromkeys(row["task"] for row in done):
        present = [method for method in methods if (task, method) in values["seconds"]]
        columns = [
            _column({m: values[metric].get((task, m), {}) for m in present}, metric)
            for metric in (*measured, "seconds")
        ]
        images = {row["image_sha256"] for row in done if row["task"] == task}
        lines = {name: [column[name] for column in columns] for name in present}
        heads = [TITLES[metric] for metric in measured] + ["seconds"]
        found.append(Table(task, len(images), heads, lines))
    return found


def _column(images: Mapping[str, Mapping[str, float]], metric: str) -> dict[str, Entry]:
    """One metric of every method; the interval of each difference from the best is Bonferroni's."""
    means = {name: fmean(each.values()) for name, each in images.items() if each}
    if metric == "seconds" or not means:
        return {name: Entry(f"{means[name]:.1f}" if name in means else "–") for name in images}
    best = (max if metric in HIGHER_IS_BETTER else min)(means, key=lambda name: means[name])
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(images) - 1)
    column: dict[str, Entry] = {}
    for name, each in images.items():
        if not each:
            column[name] = Entry("–")
            continue
        count, _, low, high = paired(images[best], each, confidence)
        text = f"{_number(means[name], metric)} ± {_number(pstdev(each.values()), metric)}"
        column[name] = Entry(text, means[name] == means[best], count > 1 and low <= 0 <= high)
    return column


def _number(value: float, metric: str) -> str:
    return format(value, {"psnr": ".2f", "mse": ".2g"}.get(metric, ".3f"))


def commands(rows: Iterable[Row], store: str) -> list[str]:
    """Commands that run the study again, one for each combination of its settings."""
    found: dict[tuple[object, ...], dict[str, list[object]]] = {}
    settings = ("generator", "label", "quality", "holdout", "precision", "pictures", "version")
    for row in rows:
        parts = found.setdefault(tuple(row[name] for name in settings), {})
        for flag, name in (("images", "source"), ("tasks", "task"), ("seeds", "seed")):
            parts.setdefault(flag, []).append(row[name])
        parts.setdefault("methods", []).append(row["method"])
    for parts in found.values():
        parts["images"] = shortened([str(source) for source in dict.fromkeys(parts["images"])])
    return [
        " ".join(
            [
                "interlayer bench run",
                *(
                    f"--{flag} {shlex.quote(str(value))}"
                    for flag in ("images", "tasks", "methods")
                    for value in dict.fromkeys(parts[flag])
                ),
                f"--seeds {','.join(str(seed) for seed in dict.fromkeys(parts['seeds']))}",
                *(
                    f"--{name} {shlex.quote(str(value))}"
                    for name, value in zip(settings[:-1], values, strict=False)
                    if value is not None
                ),
                f"--store {shlex.quote(store)}  # interlayer {values[-1]}",
            ]
        )
        for values, parts in found.items()
    ]


def shortened(sources: Sequence[str]) -> list[object]:
    """Images as one would give them: generated ones in one entry, many files as their folders.

    >>> shortened(["generated:0", "generated:1", "/a/x.png"])
    ['generated:0,1', '/a/x.png']
    """
    seeds = [source.removeprefix(GENERATED) for source in sources if source.startswith(GENERATED)]
    others = [source for source in sources if not source.startswith(GENERATED)]
    if len(others) > MANY_FILES:
        others = dict.fromkeys(str(Path(source).parent) for source in others)
    return [*([GENERATED + ",".join(seeds)] if seeds else []), *others]
