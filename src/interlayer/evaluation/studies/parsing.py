"""Values that are given on the command line as text."""

from __future__ import annotations

import re

from interlayer.errors import InputError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


MOST_DIGITS, MOST_SEEDS = 12, 1_000_000


def parse_seeds(text: str) -> list[int]:
    """Seeds of ``0-7`` or ``3,5,8`` or a mixture.

    Raises:
        InputError: if it is none.

    >>> parse_seeds("0-2,7")
    [0, 1, 2, 7]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        ends = (first, last or first)
        numbers = all(end.isdecimal() and len(end) <= MOST_DIGITS for end in ends)
        if not numbers or int(ends[1]) < int(ends[0]):
            raise InputError(f"{text[:80]!r} is not a list of seeds; write 0-7 or 3,5,8")
        low, high = map(int, ends)
        if high - low >= MOST_SEEDS - len(seeds):
            raise InputError(f"{text[:80]!r} is more than {MOST_SEEDS} seeds")
        seeds += range(low, high + 1)
    return seeds


def parse_duration(text: str) -> float:
    """Seconds of ``90s``, ``30m``, ``2h``, ``1.5d``.

    Raises:
        InputError: if it is none.

    >>> parse_duration("1.5h")
    5400.0
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not found:
        raise InputError(f"{text!r} is no length of time; write 90s, 30m, 2h or 1d")
    return float(found[1]) * UNITS[found[2]]


def parse_shard(text: str) -> tuple[int, int]:
    """Place, from 0, and number of the shards of ``2/4``.

    Raises:
        InputError: if it is none.

    >>> parse_shard("2/4")
    (1, 4)
    """
    place, slash, count = text.partition("/")
    if not (slash and place.isdigit() and count.isdigit() and 1 <= int(place) <= int(count)):
        raise InputError(f"{text!r} is no shard; write 1/4 for the first of four")
    return int(place) - 1, int(count)


def split_list(texts: list[str]) -> list[str]:
    """Split texts at commas, but for one before a number, which is part of a level.

    >>> split_list(["motion:60,30,inpaint:0.1", "jpeg:9"])
    ['motion:60,30', 'inpaint:0.1', 'jpeg:9']
    """
    return [part for text in texts for part in re.split(r",(?![\d.])", text)]
