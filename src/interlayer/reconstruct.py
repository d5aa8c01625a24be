"""Any method by its name: what the command line, the benchmark and the page run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deepinv.physics import Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.methods import METHODS
from interlayer.solve import State, iterate

QUALITIES = {"draft": 60, "normal": 120, "best": 360}


def method_names() -> tuple[str, ...]:
    """Every name that `reconstruct` knows."""
    return tuple(METHODS)


def reconstruct(
    physics: Physics,
    y: Tensor,
    generator: Generator,
    method: str = "ilo",
    *,
    quality: str = "normal",
    seed: int | Sequence[int] = 0,
    holdout: float = 0.1,
) -> Iterator[State]:
    """Run a method by its name; see `iterate`.

    Raises:
        InputError: if the method or the quality is unknown, or the method does not fit.
    """
    for name, table in ((method, METHODS), (quality, QUALITIES)):
        if name not in table:
            raise InputError(f"{name!r} is none of {', '.join(table)}")
    plan = METHODS[method](QUALITIES[quality]).within(generator.num_layers)
    yield from iterate(physics, y, generator, plan, seed=seed, holdout=holdout)
