"""StyleGAN3 generators in NVIDIA's pickles, found by names, shapes and plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.layout import Shape
from interlayer.generators.stylegan3 import PLAN, check_shapes
from interlayer.weights.stylegan2_names import fit_shape, fold_gains
from interlayer.weights.torch_files import LazyTensor, plain_number

LAYER = re.compile(r"synthesis\.(L(\d{1,2})_(\d{1,5})_\d{1,5})\.")
PLAIN_VALUES = (
    *("up_factor", "down_factor", "padding", "is_torgb", "sampling_rate", "bandwidth"),
    "output_scale",
)
_PARTS = ("weight", "bias")
_MOST = 64  # a factor, or zeros on one side, times the size of an image
_SMALL = 4096  # values of a filter


@dataclass(frozen=True)
class StyleGAN3File:
    """StyleGAN3 generator that has been identified but not loaded.

    Attributes:
        conv_clamp: bound on activations, if any.
        tensors: tensors to load, by our names.
        plans: what tensors do not say, by our names.
        mapping_rate: learning rate multiplier of the mapping network.
        mapping_activation: slope below 0 and gain of the mapping network's rectifiers.
    """

    conv_clamp: float | None
    tensors: dict[str, LazyTensor]
    plans: dict[str, Tensor]
    mapping_rate: float
    mapping_activation: tuple[float, float] | None

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes of the tensors, by our names."""
        own = {name: _fitted(name, lazy.shape) for name, lazy in self.tensors.items()}
        return own | {name: tuple(value.shape) for name, value in self.plans.items()}

    def load(self) -> dict[str, Tensor]:
        """Load the tensors that `StyleGAN3` takes, in float32, with their gains folded in."""
        whole = {name: lazy.load() for name, lazy in self.tensors.items()}
        whole = {name: value.reshape(_fitted(name, value.shape)) for name, value in whole.items()}
        folded = fold_gains(whole, self.mapping_rate, scaled_convolutions=False)
        folded["input.weight"] /= folded["input.weight"].shape[1] ** 0.5
        for name in [name for name in folded if name.endswith(".gain")]:
            layer = name.removesuffix(".gain")
            weight, folded[name] = folded[f"{layer}.weight"], folded[name].rsqrt()
            if self.plans[f"{layer}.plan"][-1]:
                folded[name] = folded[name] * weight[0].numel() ** -0.5
            else:
                norm = weight.square().mean((1, 2, 3), keepdim=True).rsqrt()
                folded[f"{layer}.weight"] = weight * norm
        if self.mapping_activation is not None:
            folded["mapping.activation"] = torch.tensor(self.mapping_activation)
        return folded | self.plans


def is_stylegan3(names: Mapping[str, Any]) -> bool:
    """Whether tensors of these names are those of a StyleGAN3."""
    return any(LAYER.match(name) or name.startswith("synthesis.input.") for name in names)


def find_stylegan3(
    tensors: Mapping[str, LazyTensor],
    values: Mapping[str, Mapping[str, Any]],
    conv_clamp: float | None,
    mapping_rate: float,
    mapping_activation: tuple[float, float] | None,
) -> StyleGAN3File:
    """Identify the generator among the tensors of a file and the plain values of its modules.

    Args:
        tensors: tensors by their names in the file.
        values: plain values of each module.
        conv_clamp: bound that all layers share.
        mapping_rate: learning rate multiplier of the mapping network.
        mapping_activation: slope and gain of its rectifiers; ``None`` for the usual ones.

    Raises:
        InputError: if the file lacks what the layers are, or they are none of a StyleGAN3.
    """
    layers = sorted({(int(m[2]), m[1]) for name in tensors if (m := LAYER.match(name))})
    numbers = [number for number, _ in layers]
    if numbers != list(range(len(layers))) or not layers:
        raise InputError("the StyleGAN3 generator lacks some of its layers")
    if "up_factor" not in values.get(f"synthesis.{layers[0][1]}.", {}):
        raise InputError(
            "this StyleGAN3 file holds tensors alone, which do not say how layers are sampled; "
            "give NVIDIA's .pkl"
        )
    names = _names([layer for _, layer in layers])
    ours = {names.get(name, name): lazy for name, lazy in tensors.items()}
    filters = {name: lazy for name, lazy in ours.items() if name.endswith((".up", ".down"))}
    if any(lazy.storage.numel > _SMALL for lazy in filters.values()):
        raise InputError("the filters of the StyleGAN3 generator are larger than any image")
    plans = {"output.scale": torch.tensor(_number(values, "synthesis.", "output_scale"))}
    for number, layer in layers:
        plans[f"L{number}.plan"] = _plan(values[f"synthesis.{layer}."], layer)
    rate = _number(values, "synthesis.input.", "sampling_rate")
    bandwidth = _number(values, "synthesis.input.", "bandwidth")
    if not 0 < bandwidth < rate / 2:
        raise InputError("the StyleGAN3 generator's input has no bandwidth below half its rate")
    size = _input_size(layers[0][1], ours, plans["L0.plan"])
    plans["input.grid"] = torch.tensor([float(size), rate, bandwidth])
    for number, _ in layers:
        for which in ("up", "down"):
            if f"L{number}.{which}" not in ours:
                plans[f"L{number}.{which}"] = torch.ones(1)
    found = StyleGAN3File(conv_clamp, ours, plans, mapping_rate, mapping_activation)
    check_shapes(found.shapes)
    return found


def _names(layers: list[str]) -> dict[str, str]:
    """Map tensors' names in a file to ours."""
    names = {"mapping.w_avg": "mapping.mean"}
    for part in _PARTS:
        names[f"synthesis.input.affine.{part}"] = f"input.style.{part}"
        names |= {f"mapping.fc{i}.{part}": f"mapping.{i}.{part}" for i in range(_MOST)}
    for part in ("weight", "freqs", "phases", "transform"):
        names[f"synthesis.input.{part}"] = f"input.{part}"
    for i, layer in enumerate(layers):
        theirs = f"synthesis.{layer}"
        for part in _PARTS:
            names[f"{theirs}.{part}"] = f"L{i}.{part}"
            names[f"{theirs}.affine.{part}"] = f"L{i}.style.{part}"
        names[f"{theirs}.magnitude_ema"] = f"L{i}.gain"
        names |= {f"{theirs}.{which}_filter": f"L{i}.{which}" for which in ("up", "down")}
    return names


def _fitted(name: str, shape: Shape) -> Shape:
    """Shape of our tensor of that name; only those that StyleGAN2 has too vary in the files."""
    if name.endswith(".gain"):
        return ()
    kept = name.startswith("input.") and not name.startswith("input.style")
    return shape if kept or name.endswith((".up", ".down")) else fit_shape(name, shape)


def _plan(values: Mapping[str, Any], layer: str) -> Tensor:
    """Factors, padding and kind of a layer, all of which must be plain and possible."""
    padding = values.get("padding")
    sides = [plain_number(p) for p in padding] if isinstance(padding, list | tuple) else []
    factors = [plain_number(values.get(name)) for name in ("up_factor", "down_factor")]
    if len(sides) != 4 or sides[:2] != sides[2:]:
        raise InputError(f"layer {layer} is not padded alike along both axes")
    plan = [*factors, *sides[:2], float(values.get("is_torgb") is True)]
    if any(p is None or p != int(p) or abs(p) > _SMALL for p in plan) or not all(
        f and 1 <= f <= _MOST for f in factors
    ):
        raise InputError(f"layer {layer} says nothing possible about how it is sampled")
    assert len(plan) == PLAN
    return torch.tensor([float(p or 0) for p in plan])


def _input_size(layer: str, tensors: Mapping[str, LazyTensor], plan: Tensor) -> int:
    """Height and width of the input, from the size of the first layer's output."""
    match = LAYER.match(f"synthesis.{layer}.")
    up, down, before, behind, _ = map(int, plan.tolist())
    taps = [tensors[f"L0.{w}"].shape[0] if f"L0.{w}" in tensors else 1 for w in ("up", "down")]
    kernel = tensors["L0.weight"].shape[-1] if "L0.weight" in tensors else 1
    assert match is not None
    risen = (int(match[3]) - 1) * down + sum(taps) - 1
    size, rest = divmod(risen - before - behind, up)
    if rest or not 0 < size - kernel + 1 <= _SMALL:
        raise InputError(f"layer {layer} has another size than its name and its padding say")
    return size - kernel + 1


def _number(values: Mapping[str, Mapping[str, Any]], module: str, name: str) -> float:
    number = plain_number(values.get(module, {}).get(name))
    if number is None or not 0 < number < _SMALL:
        raise InputError(f"the StyleGAN3 generator does not say its {name}")
    return number
