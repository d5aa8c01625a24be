"""Checked settings of a study, and the jobs that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from interlayer.errors import InputError
from interlayer.evaluation.quality import has_distance, pull_distance
from interlayer.evaluation.studies.jobs import (
    Job,
    generator_digest,
    method_digest,
    open_generator,
    task_digest,
)
from interlayer.evaluation.studies.parsing import parse_seeds
from interlayer.evaluation.studies.sources import distinct_images, find_images
from interlayer.problem.tasks import make_physics
from interlayer.solver.by_name import QUALITIES, method_names


def _listed(value: object) -> object:
    """A single value as a list of one."""
    return [value] if isinstance(value, str | int) else value


def _seeds(value: object) -> object:
    return parse_seeds(value) if isinstance(value, str) else _listed(value)


def _levels(value: object) -> object:
    """Tasks by name, ``{inpaint: [0.01, 0.1]}``, as a list of names with levels."""
    if not isinstance(value, Mapping):
        return _listed(value)
    return [
        name if level is None else f"{name}:{level}"
        for name, levels in value.items()
        for level in (levels if isinstance(levels, list) else [levels])
    ]


Seed = Annotated[int, Field(ge=0, lt=1 << 63)]  # what SQLite and PyTorch can hold
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_seeds), Field(min_length=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class Spec(BaseModel):
    """Settings of a study: every image x task x method x seed is one job.

    Attributes:
        images: files, folders, globs, ``deepinv:NAME:FOLDER`` (pictures of a data set of deepinv),
            ``generated:0-99`` (drawn from the generator, with seeds that no method has) or
            ``sample:astronaut``.
        tasks: kinds of measurement, as for `make_physics`; in YAML also by name,
            ``{inpaint: [0.01, 0.1]}``.
        methods: names that `reconstruct` knows.
        seeds: seeds of operator, noise and method; in YAML also ``0-3``.
        generator: name or file, as for `load`; ``toy`` is the small one of the tests.
        label: class to draw, for class-conditional weights.
        quality: ``draft``, ``normal`` or ``best``.
        holdout: fraction of the measurements that judge, in [0, 0.9].
        precision: type of large activations. It is fixed, not chosen by a trial, so that every
            machine computes the same.
        pictures: height in pixels of the small pictures that are kept, 0 for none.
        samples: number of solutions to find, for methods with a generator; with 2 or more their
            spread is compared with the error.
        steps: number of steps in all, for methods with a generator, instead of the quality's.

    >>> checked({"images": "generated:0-7", "tasks": {"inpaint": [0.01, 0.1]}, "methods": "ilo"})
    Spec(images=('generated:0-7',), tasks=('inpaint:0.01', 'inpaint:0.1'), methods=('ilo',), ...)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: Names
    tasks: Annotated[tuple[str, ...], BeforeValidator(_levels), Field(min_length=1)]
    methods: Names
    seeds: Seeds = (0,)
    generator: str = "faces"
    label: int | None = Field(None, ge=0)
    quality: str = "normal"
    holdout: float = Field(0.1, ge=0, le=0.9)
    precision: Literal["float32", "bfloat16"] = "float32"
    pictures: int = Field(256, ge=0, le=4096)
    samples: int = Field(1, ge=1)
    steps: int | None = Field(None, ge=1)

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for name in methods:
            _require(name, method_names())
        return methods

    @field_validator("quality")
    @classmethod
    def _known_quality(cls, quality: str) -> str:
        return _require(quality, QUALITIES)


def _require(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    if name not in known:
        raise InputError(f"{name!r} is none of {', '.join(known)}")
    return name


def checked(values: Mapping[str, Any]) -> Spec:
    """Check plain values, and return them as a `Spec`.

    Raises:
        InputError: if a setting is missing, unknown or out of range.

    >>> checked({"images": "a.png", "tasks": "jpeg:9", "methods": "magic"})
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: methods: 'magic' is none of ...
    """
    try:
        return Spec.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            reason = f"there is no such setting; use some of {', '.join(Spec.model_fields)}"
        elif first["type"] == "missing":
            reason = f"this is missing; give --{place}, or a line `{place}: ...` in the YAML file"
        else:
            reason = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{place}: {reason}") from None


def read_spec(path: Path) -> dict[str, Any]:
    """Read the settings in a YAML file, for `parts` and `checked`.

    Raises:
        InputError: if there is no such file or it is no YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the name") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # of its parts, or too deep
        mark, reason = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(
            f"{path} is no YAML ({line}{reason or 'it is no text'}); write lines such as "
            "`methods: [csgm, ilo]`"
        ) from None
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no settings; write lines such as `methods: [csgm, ilo]`")
    return {str(name): value for name, value in values.items()}


def parts(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Settings of each part of a study: the file's, with the part's own in their place.

    Raises:
        InputError: if ``parts`` is no list of settings.

    >>> parts({"methods": "ilo", "parts": [{"tasks": "jpeg:9"}, {"tasks": "jpeg:3"}]})
    [{'methods': 'ilo', 'tasks': 'jpeg:9'}, {'methods': 'ilo', 'tasks': 'jpeg:3'}]
    """
    found = values.get("parts", [{}])
    if not (found and isinstance(found, list) and all(isinstance(own, dict) for own in found)):
        raise InputError("parts: this is no list of settings; write `- {images: a.png, ...}` lines")
    shared = {name: value for name, value in values.items() if name != "parts"}
    return [shared | own for own in found]


def plan(spec: Spec, note: Callable[[str], None]) -> list[Job]:
    """Plan the jobs of a study image by image, so that one cut short has whole comparisons.

    An image file that cannot be read becomes a job that will fail, in a sentence of its own. Of two
    files with the same bytes only the first is used.

    Raises:
        InputError: if a task does not fit the generator, there is no such image or generator, or
            the weights of the perceptual distance cannot be pulled.
    """
    sources = [source for text in spec.images for source in find_images(text)]
    generator = open_generator(spec.generator, spec.label, spec.precision, note=note)
    if has_distance(generator.channels, generator.resolution):
        pull_distance(note)
    for task in spec.tasks:
        make_physics(task, (generator.channels, generator.resolution, generator.resolution))
    weights = generator_digest(spec.generator)
    tasks = {task: task_digest(task) for task in spec.tasks}
    methods = {name: method_digest(name, spec.quality, spec.steps) for name in spec.methods}
    jobs: dict[str, Job] = {}
    for image, source, content in distinct_images(sources, f"{weights} {spec.label}", note):
        for task, method, seed in product(spec.tasks, spec.methods, spec.seeds):
            job = Job(
                image=image,
                source=source,
                image_sha256=content,
                task=task,
                task_sha256=tasks[task],
                method=method,
                method_sha256=methods[method],
                quality=spec.quality,
                holdout=spec.holdout,
                seed=seed,
                generator=spec.generator,
                generator_sha256=weights,
                label=spec.label,
                precision=spec.precision,
                version=version("interlayer"),
                pictures=spec.pictures,
                samples=spec.samples,
                steps=spec.steps,
            )
            jobs[job.id] = job
    return list(jobs.values())
