"""Commands that run a study again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from interlayer.evaluation.studies.sources import GENERATED
from interlayer.evaluation.studies.store import Row
from interlayer.media.samples import SAMPLE

MANY_FILES = 20
AXES = ("source", "method", "seed")
RERUN = ("generator", "label", "quality", "holdout", "precision", "pictures", "samples", "steps")


def commands(rows: Iterable[Row], store: str) -> list[str]:
    """Commands that run the study again, one for the tasks that are alike in all else."""
    found: dict[tuple[tuple[object, ...], str], list[dict[str, None]]] = {}
    for row in rows:
        key = tuple(row[name] for name in (*RERUN, "version")), row["task"]
        for values, name in zip(found.setdefault(key, [{} for _ in AXES]), AXES, strict=True):
            values[str(row[name])] = None
    alike: dict[tuple[tuple[object, ...], tuple[tuple[str, ...], ...]], list[str]] = {}
    for (settings, task), axes in found.items():
        alike.setdefault((settings, tuple(map(tuple, axes))), []).append(task)
    return [_command(*each, tasks, store) for each, tasks in alike.items()]


def _command(
    settings: Sequence[object], axes: Sequence[Sequence[str]], tasks: Sequence[str], store: str
) -> str:
    """The command of all combinations of tasks and the values along `AXES`."""
    (sources, methods, seeds), (*given, version) = axes, settings
    flags = [("images", image) for image in shortened(sources)]
    flags += [("tasks", task) for task in joined(tasks)]
    flags += [("methods", ",".join(methods)), ("seeds", ",".join(seeds))]
    flags += [(n, str(value)) for n, value in zip(RERUN, given, strict=True) if value is not None]
    lines = [f"--{name} {shlex.quote(value)}" for name, value in [*flags, ("store", store)]]
    return " \\\n    ".join(["interlayer bench run", *lines]) + f"  # interlayer {version}"


def joined(names: Sequence[str]) -> list[str]:
    """Join names to one list, unless there is one that a list would not keep whole.

    >>> joined(["jpeg:9", "inpaint:0.1"]), joined(["./mine.py:make", "jpeg:9"])
    (['jpeg:9,inpaint:0.1'], ['./mine.py:make', 'jpeg:9'])
    """
    plain = all(re.fullmatch(r"[a-z][\w:.+-]*", name) for name in names)
    return [",".join(names)] if plain else [*names]


def shortened(sources: Sequence[str]) -> list[str]:
    """Images as a person would give them: generated in one entry, many files as folders.

    >>> shortened(["generated:0", "sample:astronaut", "generated:1", "/a/x.png"])
    ['generated:0,1', 'sample:astronaut', '/a/x.png']
    """
    seeds = [source.removeprefix(GENERATED) for source in sources if source.startswith(GENERATED)]
    samples = [source for source in sources if source.startswith(SAMPLE)]
    files = [source for source in sources if not source.startswith((GENERATED, SAMPLE))]
    if len(files) > MANY_FILES:
        files = dict.fromkeys(str(Path(source).parent) for source in files)
    return [*([GENERATED + ",".join(seeds)] if seeds else []), *samples, *files]
