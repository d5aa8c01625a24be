"""Means of a study as one Markdown table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from interlayer.evaluation.studies.compare import Cell, by_image
from interlayer.evaluation.studies.store import ORACLE, Row, with_variants

Values = Mapping[Cell, Mapping[str, float]]
JUDGED = "auto"  # the method whose choice of an iterate is compared with an oracle's


def means_table(rows: Iterable[Row]) -> str:
    """Table of mean PSNR in dB and, in brackets, perceptual distance by task and method.

    The best of a line is bold, among the methods that have all of its images; a mean over fewer
    says over how many. The last column is what an oracle that knows the truth would have gained by
    stopping `auto` at the best of its iterates, the most of any image.
    """
    rows = list(rows)
    named = with_variants(rows)
    psnr = by_image(named, "psnr")
    distance = by_image(named, "lpips") or by_image(named, "stlpips")
    gains: dict[str, list[float]] = {}
    for row in rows:
        if row["method"] == JUDGED and row[ORACLE] is not None:
            gains.setdefault(row["task"], []).append(row[ORACLE] - row["psnr"])
    found = {method for _, method in psnr}
    methods = [name for name in dict.fromkeys(row["method"] for row in named) if name in found]
    heads = ["task", *methods, *(["oracle's gain"] if gains else [])]
    lines = [heads, ["---"] * len(heads)]
    for task in dict.fromkeys(task for task, _ in psnr):
        line = [f"`{task}`", *_cells([(task, name) for name in methods], psnr, distance)]
        gain = f"{max(gains[task]):.2f}" if task in gains else ""
        lines.append([*line, gain][: len(heads)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(cells: Sequence[Cell], psnr: Values, distance: Values) -> list[str]:
    """The columns of one line."""
    most = max(len(psnr.get(cell, {})) for cell in cells)
    first, second = _marked(cells, psnr, max, ".2f"), _marked(cells, distance, min, ".3f")
    texts: list[str] = []
    for cell in cells:
        text = first.get(cell, "") + (f" ({second[cell]})" if cell in second else "")
        count = len(psnr.get(cell, {}))
        texts.append(f"{text}, {count} of {most}" if 0 < count < most else text)
    return texts


def _marked(
    cells: Sequence[Cell], values: Values, best: Callable[..., float], form: str
) -> dict[Cell, str]:
    """The means of cells that have any, the best of the complete ones bold."""
    found = {cell: values[cell] for cell in cells if values.get(cell)}
    most = max(map(len, found.values()), default=0)
    means = {cell: fmean(each.values()) for cell, each in found.items()}
    top = best((means[c] for c, each in found.items() if len(each) == most), default=None)
    return {
        cell: f"**{mean:{form}}**" if mean == top else f"{mean:{form}}"
        for cell, mean in means.items()
    }
