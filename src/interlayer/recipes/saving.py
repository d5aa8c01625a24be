"""Methods, settings and solutions as plain data: dictionaries for JSON, and files of tensors.

A file of another format or an unknown part is refused; nothing in a file is executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.files import replacing
from interlayer.methods.estimators import ESTIMATORS
from interlayer.methods.stages import Descent, Latent, Layer, Losses, Method, Reached, Stage
from interlayer.problem.fidelity import LOSSES
from interlayer.solver.records import GeneratorPoint, Samples, Settings, Solution, StageRecord

FORMAT = "interlayer solution 2"
_ESTIMATORS = {estimator.name: estimator for estimator in ESTIMATORS}
_FIDELITIES = {name: loss for name, loss in LOSSES.items() if loss is not None}
_OF_A_STAGE = ("x_hat", "loss", "holdout_loss", "deviation", "undone", "losses")


def to_dict(thing: Method | Settings) -> dict[str, Any]:
    """A method, or the settings of a run, as a dictionary that JSON can hold exactly.

    Args:
        thing: method whose fidelity and estimators are those of this package, or settings without a
            starting point, which belongs into a file of tensors.

    Raises:
        InputError: if it holds something of your own, which only your code can make again.

    >>> from interlayer import csgm
    >>> from_dict(json.loads(json.dumps(to_dict(csgm(steps=7))))) == csgm(steps=7)
    True
    """
    if isinstance(thing, Settings):
        if thing.start is not None:
            raise InputError("a starting point is no plain value; save the solution it came from")
        seed = thing.seed if isinstance(thing.seed, int) else list(thing.seed)
        return {"kind": "settings", "seed": seed, "holdout": thing.holdout}
    return {
        "kind": "method",
        "name": thing.name,
        "stages": [_stage_to_dict(stage) for stage in thing.stages],
        "random_start": thing.random_start,
        "estimators": None
        if thing.estimators is None
        else [_name_of(each, _ESTIMATORS) for each in thing.estimators],
        "fidelity": None if thing.fidelity is None else _name_of(thing.fidelity, _FIDELITIES),
        "multiscale": thing.multiscale,
        "pictures_only": thing.pictures_only,
    }


def from_dict(plain: Mapping[str, Any]) -> Method | Settings:
    """The method, or the settings, that `to_dict` made a dictionary of.

    Raises:
        InputError: if the dictionary is of another kind.
    """
    try:
        values = dict(plain)
        kind = values.pop("kind")
        if kind == "settings":
            seed = values.pop("seed")
            return Settings(seed if isinstance(seed, int) else tuple(seed), **values)
        if kind != "method":
            raise ValueError(kind)
        estimators, fidelity = values.pop("estimators"), values.pop("fidelity")
        return Method(
            stages=tuple(_stage_from_dict(stage) for stage in values.pop("stages")),
            estimators=None if estimators is None else tuple(_ESTIMATORS[n] for n in estimators),
            fidelity=None if fidelity is None else _FIDELITIES[fidelity],
            **values,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"this is neither a method nor settings as to_dict gives them ({error!r})"
        ) from error


def save_solution(solution: Solution, path: Path) -> None:
    """Write a solution with all its records, as a ``.safetensors`` file for `load_solution`.

    The latent codes are the tensor ``point.z``, the layer's input ``point.h``.
    """
    tensors = {"x_hat": solution.x_hat}
    point = solution.point
    if point is not None:
        tensors |= {f"point.{n}": t for n, t in _parts(point).items() if t is not None}
    if solution.samples is not None:
        tensors["samples"] = solution.samples.images
    for number, record in enumerate(solution.stages):
        tensors |= {f"stages.{number}.{name}": getattr(record, name) for name in _OF_A_STAGE}
    plain = {
        "layer": None if point is None else point.layer,
        "seconds": solution.seconds,
        "seeds": list(solution.seeds),
        "stages": [
            {
                "stage": None if record.stage is None else _stage_to_dict(record.stage),
                "layer": record.layer,
                "seconds": record.seconds,
            }
            for record in solution.stages
        ],
    }
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(held, {"format": FORMAT, "plain": json.dumps(plain)})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def load_solution(path: Path) -> Solution:
    """Read a solution that `save_solution` wrote, exactly.

    Raises:
        InputError: if the file is missing or of another kind or format.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; give a file that save_solution has written")
    try:
        metadata, tensors = read_tensors(path, FORMAT)
        return _solution(json.loads(metadata["plain"]), tensors)
    except (KeyError, TypeError, ValueError, AttributeError, InputError):
        raise InputError(
            f"{path} is no solution of this version ({FORMAT}); recover again, or read it with the "
            "version that wrote it"
        ) from None


def read_tensors(path: Path, form: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a ``.safetensors`` file of a format.

    Raises:
        ValueError: if it is damaged or of another format.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != form:
                raise ValueError(metadata.get("format"))
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def _solution(plain: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Solution:
    stages = [
        StageRecord(
            stage=None if row["stage"] is None else _stage_from_dict(row["stage"]),
            layer=row["layer"],
            seconds=row["seconds"],
            **{name: tensors[f"stages.{number}.{name}"] for name in _OF_A_STAGE},
        )
        for number, row in enumerate(plain["stages"])
    ]
    point = None
    if plain["layer"] is not None:
        h, rgb = tensors.get("point.h"), tensors.get("point.rgb")
        point = GeneratorPoint(tensors["point.z"], h, rgb, plain["layer"])
    samples = Samples(tensors["samples"]) if "samples" in tensors else None
    seeds = tuple(plain["seeds"])
    return Solution(tensors["x_hat"], point, tuple(stages), plain["seconds"], seeds, samples)


def _parts(point: GeneratorPoint) -> dict[str, Tensor | None]:
    return {"z": point.z, "h": point.h, "rgb": point.rgb}


def _stage_to_dict(stage: Stage) -> dict[str, Any]:
    moves, towards = stage.moves, stage.towards
    return {
        "moves": {"codes": moves.codes} if isinstance(moves, Latent) else vars(moves),
        "steps": stage.steps,
        "lr": stage.lr,
        "towards": "reached" if isinstance(towards, Reached) else _plain_losses(towards),
        "temperature": stage.temperature,
        "descent": vars(stage.descent),
    }


def _plain_losses(losses: Losses) -> dict[str, float]:
    """The weights, which are all that plain values can say."""
    for energy in (losses.latent_energy, losses.layer_energy):
        if energy is not None:
            _name_of(energy, {})
    return {name: value for name, value in vars(losses).items() if not name.endswith("_energy")}


def _stage_from_dict(plain: Mapping[str, Any]) -> Stage:
    values = dict(plain)
    moves, towards = values.pop("moves"), values.pop("towards")
    return Stage(
        moves=Latent(**moves) if "codes" in moves else Layer(**moves),
        towards=Reached() if towards == "reached" else Losses(**towards),
        descent=Descent(**values.pop("descent")),
        **values,
    )


def _name_of(thing: object, known: Mapping[str, object]) -> str:
    """The name of a part of this package."""
    for name, part in known.items():
        if part == thing:
            return name
    raise InputError(f"{thing!r} is of your own, which no plain value stands for")
