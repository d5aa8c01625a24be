"""StyleGAN2 generators in other projects' files, found by names and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.layout import Layout
from interlayer.generators.modulation import binomial_filter
from interlayer.weights import stylegan3_files
from interlayer.weights.pickles import Record, as_items
from interlayer.weights.stylegan2_names import fit_shape, fold_gains, nvidia_names, rosinality_names
from interlayer.weights.stylegan3_files import StyleGAN3File, find_stylegan3, is_stylegan3
from interlayer.weights.torch_files import LazyTensor, TorchFile, plain_number

GENERATORS = ("G_ema", "g_ema", "g_running", "params_ema", "G", "g", "generator")
CONTAINERS = ("state_dict", "params", "model")
PREFIXES = ("", "module.", "g_ema.", "G_ema.", "g_running.", "generator.", "decoder.", "G.", "g.")
DISCRIMINATORS = ("D", "d", "discriminator")
USUAL_RATE = 0.01
_ENTRIES_LIMIT = 100_000
_DEPTH_LIMIT = 8
_LONGEST_PART = 80
_SHARING_LIMIT = 16
_ACTIVATIONS = {"lrelu": (0.2, 2**0.5), "linear": (1.0, 1.0), "relu": (0.0, 2**0.5)}
_PLAIN_VALUES = ("conv_clamp", "activation", "bias_gain", *stylegan3_files.PLAIN_VALUES)
_FILTERS = (".resample_filter", ".blur.kernel", ".upsample.kernel")
_DISCRIMINATOR_KEYS = re.compile(r"(b\d+\.fromrgb|b4\.out|final_conv|final_linear)\.")


@dataclass(frozen=True)
class Found:
    """Tensors of a network by dotted name, and plain values of its modules, if it has any."""

    tensors: dict[str, LazyTensor] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ForeignGenerator:
    """StyleGAN2 generator that has been identified but not loaded.

    Attributes:
        kind: project whose file it is, ``nvidia`` or ``rosinality``.
        layout: hyper-parameters of the generator.
        conv_clamp: bound on activations, if any.
        tensors: tensors to load, by our names.
        mapping_rate: learning rate multiplier of the mapping network.
        mapping_activation: slope below 0 and gain of the mapping network's rectifiers.
    """

    kind: str
    layout: Layout
    conv_clamp: float | None
    tensors: dict[str, LazyTensor]
    mapping_rate: float
    mapping_activation: tuple[float, float]

    def load(self) -> dict[str, Tensor]:
        """Load the tensors that `StyleGAN2` takes, in float32."""
        whole = {name: lazy.load() for name, lazy in self.tensors.items()}
        whole = {name: value.reshape(fit_shape(name, value.shape)) for name, value in whole.items()}
        for name, value in whole.items():
            if not value.is_floating_point() or not value.isfinite().all():
                raise InputError(f"the tensor {name!r} holds values that are not finite numbers")
        scaled = self.kind == "rosinality"
        folded = fold_gains(whole, self.mapping_rate, scaled_convolutions=scaled)
        if self.mapping_activation != _ACTIVATIONS["lrelu"]:
            folded["mapping.activation"] = torch.tensor(self.mapping_activation)
        return folded


def find_generator(file: TorchFile, size: int) -> ForeignGenerator | StyleGAN3File:
    """Find the generator in a file, the averaged one where there are several.

    Args:
        file: structure of the file.
        size: length of the file in bytes, which bounds what its tensors may claim.

    Raises:
        InputError: if there is none that can be drawn; the sentence says what there is.
    """
    found = collect(file, _choose_network(file.root))
    if isinstance(file.root, dict) and "latent_avg" in file.root:
        average = file.tensor(file.root["latent_avg"])
        if average is not None:
            found.tensors.setdefault("latent_avg", average)
    return generator_of(found, size, file.root)


def generator_of(found: Found, size: int, root: Any = None) -> ForeignGenerator | StyleGAN3File:
    """Identify the generator among the tensors of a file.

    Args:
        found: its tensors.
        size: length of the file in bytes.
        root: what the file holds as a whole, for messages.

    Raises:
        InputError: as for `find_generator`.
    """
    found = _without_prefix(found)
    if is_stylegan3(found.tensors):
        _check_size(found.tensors.values(), size)
        activation = _mapping_activation(found.values)
        return find_stylegan3(
            found.tensors,
            found.values,
            _conv_clamp(found.values),
            _mapping_rate(found.values),
            None if activation == _ACTIVATIONS["lrelu"] else activation,
        )
    kind = _identify(found.tensors, root)
    names = nvidia_names() if kind == "nvidia" else rosinality_names()
    tensors = {names.get(k, k): v for k, v in _without_filters(found.tensors).items()}
    back = {ours: theirs for theirs, ours in names.items()}
    shapes = {name: fit_shape(name, lazy.shape) for name, lazy in tensors.items()}
    if kind == "rosinality":
        shapes, tensors = _with_noise(shapes, tensors)
    layout = Layout.infer(shapes, lambda ours: back.get(ours, ours))
    _check_size(tensors.values(), size)
    return ForeignGenerator(
        kind,
        layout,
        _conv_clamp(found.values),
        tensors,
        _mapping_rate(found.values),
        _mapping_activation(found.values),
    )


def _choose_network(root: Any) -> Any:
    """Choose the network or state dictionary to read in a snapshot or a training state."""
    items = as_items(root)
    for key in GENERATORS:
        if items.get(key) is not None:
            return items[key]
    for key in CONTAINERS:
        if isinstance(items.get(key), dict):
            return _choose_network(items[key])
    if any(items.get(key) is not None for key in DISCRIMINATORS):
        raise InputError("the file holds a discriminator alone; a generator is needed")
    return root


def _without_prefix(found: Found) -> Found:
    """The tensors of the generator, by the names that they have in a file of its own."""
    for first in ("", "module."):
        for second in PREFIXES:
            prefix = first + second
            marks = (
                f"{prefix}input.input",
                f"{prefix}style.1.weight",
                f"{prefix}synthesis.b4.const",
                f"{prefix}synthesis.input.freqs",
            )
            if prefix and any(mark in found.tensors for mark in marks):
                average = {k: v for k, v in found.tensors.items() if k == "latent_avg"}
                own = {
                    name.removeprefix(prefix): lazy
                    for name, lazy in found.tensors.items()
                    if name.startswith(prefix)
                }
                return Found(average | own, found.values)
    return found


def collect(file: TorchFile, network: Any) -> Found:
    """Walk the modules of a pickled network, or read a state dictionary.

    A pickle can mention one thing any number of times at little cost, so every entry that is
    looked at counts towards a limit.
    """
    found, entries = Found(), 0
    modules = _modules(network) if isinstance(network, Record) else [("", {"_buffers": network})]
    for prefix, state in modules:
        found.values[prefix] = {k: state.get(k) for k in _PLAIN_VALUES if k in state}
        for group in (as_items(state.get("_parameters")), as_items(state.get("_buffers"))):
            entries += len(group)
            if entries > _ENTRIES_LIMIT:
                raise InputError(f"the file has more than {_ENTRIES_LIMIT:,} tensors")
            for name, value in group.items():
                lazy = file.tensor(value)
                if lazy is not None and isinstance(name, str) and len(name) <= _LONGEST_PART:
                    found.tensors[f"{prefix}{name}"] = lazy
    return found


def _modules(network: Record) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Yield dotted prefix and attributes of every module of a pickled network."""
    if not _attributes(network):
        raise InputError(f"the file holds no network but a call of {network.callable}; refused")
    pending: list[tuple[str, Any]] = [("", network)]
    entries = 0
    while pending:
        prefix, record = pending.pop()
        state = _attributes(record)
        yield prefix, state
        children = as_items(state.get("_modules"))
        entries += len(children)
        if entries > _ENTRIES_LIMIT or prefix.count(".") > _DEPTH_LIMIT:
            raise InputError("the file's network has too many modules, or modules within modules")
        for name, child in children.items():
            if isinstance(name, str) and len(name) <= _LONGEST_PART:
                pending.append((f"{prefix}{name}.", child))


def _attributes(record: Any) -> Mapping[Any, Any]:
    """Attributes of a module: its pickled state, or that given to NVIDIA's rebuilder."""
    if not isinstance(record, Record):
        return {}
    if record.callable.value.endswith("persistence._reconstruct_persistent_obj"):
        meta = record.args[0] if isinstance(record.args, tuple) and record.args else None
        return as_items(as_items(meta).get("state"))
    return as_items(record.state)


def _identify(tensors: Mapping[str, LazyTensor], root: Any) -> str:
    """Name the project whose generator has these tensors, in a file with this root."""
    if any(_DISCRIMINATOR_KEYS.match(name) for name in tensors):
        raise InputError("the file holds a discriminator alone; a generator is needed")
    if "synthesis.b4.const" in tensors or any(n.startswith("synthesis.b") for n in tensors):
        for name in tensors:
            block = re.match(r"synthesis\.b(\d{1,9})\.", name)
            if block and (int(block[1]) < 4 or int(block[1]).bit_count() != 1):
                raise InputError(
                    f"the generator has a block of {block[1]} px, but only square images with a "
                    "power of two on a side can be drawn"
                )
        return "nvidia"
    if "input.input" in tensors or "style.1.weight" in tensors:
        return "rosinality"
    if "GAN" in as_items(root):
        raise InputError(
            "this is a generator of lucidrains' stylegan2-pytorch, whose layers are others than "
            "those of StyleGAN2; only NVIDIA's and rosinality's can be read"
        )
    records = root if isinstance(root, tuple | list) else (root,)
    if any(isinstance(r, Record) and r.callable.value.startswith("dnnlib.tflib") for r in records):
        raise InputError(
            "this is a network of TensorFlow's StyleGAN2; convert it with legacy.py of "
            "stylegan2-ada-pytorch first"
        )
    some = ", ".join(repr(str(name)[:40]) for name in list(tensors)[:3]) or "none"
    raise InputError(f"the file holds no StyleGAN2 generator (tensors: {some})")


def _without_filters(tensors: Mapping[str, LazyTensor]) -> dict[str, LazyTensor]:
    """Leave out resampling filters, after a check that each is the usual one up to its gain."""
    kept, usual = {}, binomial_filter() / 4
    for name, lazy in tensors.items():
        if not name.endswith(_FILTERS):
            kept[name] = lazy
            continue
        small = lazy.shape == (4, 4) and lazy.storage.numel <= 64
        values = lazy.load().float() if small else torch.zeros(4, 4)
        if not torch.allclose(values / values.sum(), usual, atol=1e-5):
            raise InputError(f"{name[:80]!r} is not the filter [1, 3, 3, 1] that StyleGAN2 has")
    return kept


def _check_size(tensors: Iterable[LazyTensor], size: int) -> None:
    """Refuse tensors that overlap so much that reading them is out of proportion to the file."""
    tensors = list(tensors)
    read = sum(lazy.storage.numel * lazy.storage.dtype.itemsize for lazy in tensors)
    if sum(lazy.nbytes for lazy in tensors) > size or read > _SHARING_LIMIT * size:
        raise InputError("the file's tensors claim more data than it holds")


def _with_noise(
    shapes: dict[str, tuple[int, ...]], tensors: dict[str, LazyTensor]
) -> tuple[dict[str, tuple[int, ...]], dict[str, LazyTensor]]:
    """Leave out noise strengths where old files have no noise maps for them."""
    if any(name.endswith(".noise") for name in tensors):
        return shapes, tensors
    used = [name for name in tensors if not name.endswith(".strength")]
    return {name: shapes[name] for name in used}, {name: tensors[name] for name in used}


def _conv_clamp(values: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Bound that all convolutions and image terms share, if any."""
    layers = [v for k, v in values.items() if re.search(r"\.(conv[01]|torgb|L\d+_\d+_\d+)\.$", k)]
    for layer in layers:
        if layer.get("activation", "lrelu") != "lrelu":
            raise InputError("a layer of the generator has another activation than lrelu")
    given = [layer.get("conv_clamp") for layer in layers]
    bounds = {None if value is None else plain_number(value) or 0.0 for value in given} or {None}
    bound = bounds.pop()
    if bounds or (bound is not None and not 0 < bound < float("inf")):
        raise InputError("the generator's layers do not have one positive bound conv_clamp")
    return bound


def _mapping_activation(values: Mapping[str, Mapping[str, Any]]) -> tuple[float, float]:
    """Slope below 0 and gain of the rectifiers that all layers of the mapping network share."""
    names = {v.get("activation", "lrelu") for k, v in values.items() if "mapping.fc" in k}
    name = names.pop() if names else "lrelu"
    if names or name not in _ACTIVATIONS:
        raise InputError(
            f"the mapping network's activations are not all one of {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]


def _mapping_rate(values: Mapping[str, Mapping[str, Any]]) -> float:
    """Learning rate multiplier of the mapping network: the gain of its biases."""
    gains = [v.get("bias_gain", USUAL_RATE) for k, v in values.items() if "mapping.fc" in k]
    rates = {plain_number(gain) for gain in gains}
    rate = rates.pop() if rates else USUAL_RATE
    if rates or rate is None or not 0 < rate < float("inf"):
        raise InputError("the mapping network does not have one positive learning rate multiplier")
    return rate
