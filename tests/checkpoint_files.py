"""Writes checkpoints in the layouts of other projects, from tensors by our names."""

import io
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interlayer.generators.layout import Layout
from interlayer.weights.stylegan2_names import fold_gains, nvidia_names, rosinality_names
from interlayer.weights.torch_files import LEGACY_MAGIC, LEGACY_VERSION

FILTER = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


def unfolded(tensors: Mapping[str, Tensor], rate: float, scaled: bool) -> dict[str, Tensor]:
    """The stored weights whose run-time gains give these."""
    gains = fold_gains({k: torch.ones_like(v) for k, v in tensors.items()}, rate, scaled)
    return {k: v / gains[k] for k, v in tensors.items()}


class Persistent:
    """Pickles as NVIDIA's networks do: a call of their rebuilder with class name and state."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise RuntimeError('the source in a checkpoint was run')",
            "class_name": class_name,
            "state": state,
        }

    def __reduce__(self):
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


@contextmanager
def persistence() -> Iterator[None]:
    """A module of the name that NVIDIA's pickles refer to, while one is written."""
    package, module = types.ModuleType("torch_utils"), types.ModuleType("torch_utils.persistence")

    def rebuild(meta):
        raise AssertionError("the rebuilder was called")

    rebuild.__module__, rebuild.__qualname__ = module.__name__, "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = rebuild  # type: ignore[attr-defined]
    sys.modules |= {"torch_utils": package, "torch_utils.persistence": module}
    try:
        yield
    finally:
        del sys.modules["torch_utils"], sys.modules["torch_utils.persistence"]


def module_tree(tensors: Mapping[str, Tensor], values: Mapping[str, dict], prefix: str = ""):
    """Nested modules from dotted names; ``values`` are attributes by dotted module name."""
    state: dict[str, Any] = {"training": False, **values.get(prefix, {})}
    state |= {"_parameters": {}, "_buffers": {}, "_modules": OrderedDict(), "_hooks": OrderedDict()}
    children: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        head, _, tail = name.partition(".")
        if tail:
            children.setdefault(head, {})[tail] = value
        elif "noise_const" in name or "filter" in name or name == "w_avg":
            state["_buffers"][name] = value
        else:
            state["_parameters"][name] = torch.nn.Parameter(value)
    for head, below in children.items():
        path = f"{prefix}.{head}" if prefix else head
        state["_modules"][head] = module_tree(below, values, path)
    return Persistent(prefix.rpartition(".")[2] or "Generator", state)


def nvidia_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names and shapes as NVIDIA's, resampling filters included."""
    theirs = {ours: name for name, ours in nvidia_names().items()}
    found = {theirs[k]: v for k, v in unfolded(tensors, 0.01, scaled=False).items()}
    for name in list(found):
        if name.endswith(("noise_const", "const")):
            found[name] = found[name].squeeze()
        if name.endswith("conv0.weight"):
            found[name.replace("weight", "resample_filter")] = FILTER
    return found


def nvidia_pickle(
    tensors: Mapping[str, Tensor], clamp: float | None = None, key: str = "G_ema", protocol: int = 4
) -> bytes:
    """A snapshot in the manner of NVIDIA's training; ``tensors`` by their names."""
    layers = ("conv0", "conv1", "torgb")
    blocks = {name.rpartition(".")[0] for name in tensors}
    values = {n: {"conv_clamp": clamp} for n in blocks if n.endswith(layers)}
    values |= {n: {"bias_gain": 0.01} for n in blocks if n.startswith("mapping.fc")}
    with persistence():
        snapshot = {"G": None, "D": None, "G_ema": None, key: module_tree(tensors, values)}
        return pickle.dumps(snapshot, protocol=protocol)


def rosinality_state(tensors: Mapping[str, Tensor], rate: float = 0.01) -> dict[str, Any]:
    """A checkpoint dictionary with names and shapes as rosinality's."""
    theirs = {ours: name for name, ours in rosinality_names().items()}
    state = {theirs[k]: v for k, v in unfolded(tensors, rate, scaled=True).items()}
    for name in list(state):
        if name.endswith("conv.weight"):
            state[name] = state[name][None]
        elif name.startswith("to_rgb") and name.endswith("bias") and "modulation" not in name:
            state[name] = state[name].reshape(1, 3, 1, 1)
        elif name.endswith("noise.weight"):
            state[name] = state[name].reshape(1)
    state["to_rgbs.0.upsample.kernel"] = 4 * FILTER
    average = state.pop("latent_avg", None)
    return {"g_ema": state} | ({} if average is None else {"latent_avg": average})


def saved(value: Any, legacy: bool = False) -> bytes:
    """Bytes that `torch.save` writes."""
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def small_tensors(**changes) -> dict[str, Tensor]:
    """Weights of a small generator, mean style included."""
    settings = {"channels": (6, 4, 3), "z_dim": 5, "mapping": (7, 4)}
    tensors = Layout(**(settings | changes)).random_tensors(seed=2)
    return tensors | {
        "mapping.mean": torch.linspace(-1, 1, tensors["4.conv1.style.weight"].shape[1])
    }


class Claim:
    """Pickles as a call of ``function`` with these arguments."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self):
        return self.call


class Reference:
    """Pickles as a persistent id."""

    def __init__(self, value: Any) -> None:
        self.value = value


class ReferencePickler(pickle.Pickler):
    """Writes `Reference` as PyTorch writes storages."""

    def persistent_id(self, obj: Any) -> Any:
        return obj.value if isinstance(obj, Reference) else None


def dumps(value: Any) -> bytes:
    """A pickle in which `Reference` is a persistent id."""
    stream = io.BytesIO()
    ReferencePickler(stream, protocol=4).dump(value)
    return stream.getvalue()


def claimed_tensor(shape: tuple[int, ...], numel: int, held: int, container: str) -> bytes:
    """A file with one tensor of ``shape`` over a storage said to hold ``numel`` floats.

    ``held`` of them are there; ``container`` is zip, legacy or nested.
    """
    storage = Reference(("storage", torch.FloatStorage, "0", "cpu", numel))
    if container != "zip":
        storage.value += (None,)
    stride = tuple(int(np.prod(shape[i + 1 :], dtype=object)) for i in range(len(shape)))
    rebuild = torch._utils._rebuild_tensor_v2  # type: ignore[attr-defined]

    def tensor(source: Any) -> Any:
        claim = Claim(rebuild, source, 0, shape, stride, False, OrderedDict())
        return {"g_ema": {"style.1.weight": claim}}

    if container == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("x/data.pkl", dumps(tensor(storage)))
            archive.writestr("x/data/0", bytes(4 * held))
        return stream.getvalue()

    def legacy(root: Any) -> bytes:
        head = [LEGACY_MAGIC, LEGACY_VERSION, {"little_endian": True}, root, ["0"]]
        return b"".join(map(dumps, head)) + struct.pack("<q", numel) + bytes(4 * held)

    if container == "legacy":
        return legacy(tensor(storage))
    load = torch.storage._load_from_bytes  # type: ignore[attr-defined]
    return dumps(tensor(Claim(load, legacy(storage))))
