"""Pictures of a study side by side: its first images, and what every method made of them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from interlayer.evaluation.studies.store import Row, Store


@dataclass(frozen=True)
class Picture:
    """Image that a method recovered, as a data URI."""

    method: str
    psnr: float
    recovered: str


@dataclass(frozen=True)
class Strip:
    """One image: the truth, its measurements and the recovered pictures, as data URIs."""

    image: str
    truth: str
    measured: str
    pictures: Sequence[Picture]


def strips(
    store: Store, done: Iterable[Row], methods: Sequence[str], count: int
) -> dict[str, list[Strip]]:
    """The first images of every task, at their first seed, with what every method made of them."""
    cells: dict[str, dict[str, dict[str, Row]]] = {}
    for row in done:
        if row["recovered"] and store.picture(row["recovered"]).exists():
            cells.setdefault(row["task"], {}).setdefault(row["image"], {}).setdefault(
                row["method"], row
            )
    return {
        task: [
            Strip(
                image,
                _uri(store, next(iter(found.values()))["truth"]),
                _uri(store, next(iter(found.values()))["measured"]),
                [
                    Picture(name, found[name]["psnr"], _uri(store, found[name]["recovered"]))
                    for name in methods
                    if name in found
                ],
            )
            for image, found in list(images.items())[:count]
        ]
        for task, images in cells.items()
    }


def _uri(store: Store, name: str) -> str:
    content = store.picture(name).read_bytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
