"""Comparison of two sets of results, by differences that are paired by image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t as student

from interlayer.errors import InputError
from interlayer.evaluation.studies.store import METRICS, Row, with_variants

HIGHER_IS_BETTER = ("psnr", "ssim")
Cell = tuple[str, str]


@dataclass(frozen=True)
class Difference:
    """Mean difference of one task and method, second set minus first, over shared images.

    Attributes:
        task: task of the cell.
        method: method of the cell.
        images: number of shared images.
        mean: mean of the differences.
        low: lower end of the confidence interval.
        high: upper end.
        verdict: ``better`` or ``worse`` if the interval leaves out 0 by more than a tolerance,
            else ``same``.
    """

    task: str
    method: str
    images: int
    mean: float
    low: float
    high: float
    verdict: str


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float, float]:
    r"""Mean and confidence interval ``m ± t_(n-1) s / √n``; one value leaves it unbounded.

    >>> [round(end, 3) for end in mean_interval([1.0, 2.0, 3.0], 0.95)]
    [2.0, -0.484, 4.484]
    >>> mean_interval([1.0], 0.95)
    (1.0, -inf, inf)
    """
    mean = fmean(values)
    if len(values) < 2:
        return mean, -math.inf, math.inf
    half = float(student.ppf((1 + confidence) / 2, len(values) - 1)) * stdev(values)
    half /= math.sqrt(len(values))
    return mean, mean - half, mean + half


def by_image(rows: Iterable[Row], metric: str) -> dict[Cell, dict[str, float]]:
    """Mean of a metric over seeds, by task and method, and then by image."""
    found: dict[Cell, dict[str, list[float]]] = {}
    for row in rows:
        if row[metric] is not None:
            cell = found.setdefault((row["task"], row["method"]), {})
            cell.setdefault(row["image_sha256"], []).append(row[metric])
    return {
        cell: {image: fmean(values) for image, values in images.items()}
        for cell, images in found.items()
    }


def paired(
    first: Mapping[str, float], second: Mapping[str, float], confidence: float
) -> tuple[int, float, float, float]:
    """Number, mean and confidence interval of ``second - first`` over what both have."""
    shared = [second[key] - value for key, value in first.items() if key in second]
    return (len(shared), *mean_interval(shared, confidence)) if shared else (0, 0, 0, 0)


def differences(
    first: Iterable[Row],
    second: Iterable[Row],
    metric: str = "psnr",
    confidence: float = 0.95,
    tolerance: float = 0,
) -> list[Difference]:
    """Differences of every task and method that two stores share, paired by image.

    An image's seeds are averaged first: images are what varies independently. The intervals hold
    together with the given confidence: each of c cells has ``1 - (1 - confidence) / c``.

    Args:
        first: rows of `Store.rows`.
        second: rows of another store.
        metric: psnr, ssim, mse, lpips or stlpips.
        confidence: confidence of all intervals together, in (0, 1).
        tolerance: amount, in units of the metric, by which a method may become worse.

    Raises:
        InputError: if there is no such metric, or no cell is shared.
    """
    if metric not in METRICS:
        raise InputError(f"{metric!r} is none of {', '.join(METRICS)}")
    before, after = (by_image(with_variants(rows), metric) for rows in (first, second))
    shared = [cell for cell in before if before[cell].keys() & after.get(cell, {}).keys()]
    if not shared:
        raise InputError(f"the two studies share no image, task and method with {metric}")
    each = 1 - (1 - confidence) / len(shared)
    found: list[Difference] = []
    for cell in shared:
        images, mean, low, high = paired(before[cell], after[cell], each)
        up, down = low > tolerance, high < -tolerance
        gain, loss = (up, down) if metric in HIGHER_IS_BETTER else (down, up)
        verdict = "better" if gain else "worse" if loss else "same"
        found.append(Difference(*cell, images, mean, low, high, verdict))
    return found
