"""Files of generators, read as data whatever they are called; nothing in a file is ever run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import dcgan, mobilestylegan, stylegan3
from interlayer.generators.base import Generator, gaussian_by_seed, statistics_tensors
from interlayer.generators.layout import Layout
from interlayer.generators.mobilestylegan import MobileStyleGAN
from interlayer.generators.stylegan2 import StyleGAN2
from interlayer.generators.stylegan3 import StyleGAN3
from interlayer.generators.styles import StyleGenerator
from interlayer.media.files import naming_file
from interlayer.weights.converted import FORMAT, write_converted
from interlayer.weights.openvino import read_openvino_pair
from interlayer.weights.stylegan2_files import (
    ForeignGenerator,
    Found,
    find_generator,
    generator_of,
)
from interlayer.weights.stylegan3_files import StyleGAN3File
from interlayer.weights.torch_files import LazyTensor, Storage, open_torch_file

MAX_FILE = 8 << 30
CHECKS: Mapping[str, Callable[[Mapping[str, tuple[int, ...]]], object]] = {
    "stylegan2": Layout.infer,
    "stylegan3": stylegan3.check_shapes,
    "mobilestylegan": mobilestylegan.check_shapes,
    "dcgan": dcgan.check_shapes,
}
Format = Literal["safetensors", "openvino", "pytorch"]


@dataclass(frozen=True)
class Checkpoint:
    """Generator in a file, found by names and shapes but not loaded.

    Attributes:
        source: kind of the file, in words.
        architecture: ``stylegan2``, ``stylegan3``, ``mobilestylegan`` or ``dcgan``.
        shapes: shapes of the tensors, by our names.
        conv_clamp: bound on activations, if any.
        licence: licence that the file names, or nothing.
        load: function that reads the tensors.
        assumed: sentence about what the file does not say, or nothing.
    """

    source: str
    architecture: str
    shapes: Mapping[str, tuple[int, ...]]
    conv_clamp: float | None
    licence: str
    load: Callable[[], dict[str, Tensor]]
    assumed: str = ""

    def __str__(self) -> str:
        values = sum(torch.Size(shape).numel() for shape in self.shapes.values())
        lines = [f"{self.architecture} from {self.source}", f"{values:,} values", self.licence]
        lines.append(self.assumed)
        if self.architecture == "stylegan2":
            layout = Layout.infer(self.shapes)
            lines[1:1] = [
                f"{layout.resolution}x{layout.resolution} px, {len(layout.channels)} layers "
                f"of widths {', '.join(map(str, layout.channels))}",
                f"output {layout.output}, conv_clamp {self.conv_clamp}, "
                f"noise maps {'yes' if layout.noise else 'no'}, classes {layout.num_classes}",
                f"z {layout.z_dim}, w {layout.w_dim}, mapping of {len(layout.mapping)} layers",
            ]
        if self.architecture == "stylegan3":
            lines[1:1] = _describe_stylegan3(self)
        return "\n".join(line for line in lines if line)


def _describe_stylegan3(checkpoint: Checkpoint) -> list[str]:
    """Lines about a StyleGAN3: its layers, its latent codes, its bound."""
    shapes = checkpoint.shapes
    kernels = [shapes[f"L{i}.weight"] for i in range(stylegan3.count(shapes, "L{}.weight"))]
    radial = any(len(shapes.get(f"L{i}.down", ())) == 2 for i in range(len(kernels)))
    z_dim, w_dim = stylegan3.latent_sizes(shapes)
    widths = ", ".join(str(shape[0]) for shape in kernels)
    classes = shapes.get("mapping.embed.weight", (0, 0))[1]
    return [
        f"configuration {'R' if radial else 'T'}, {len(kernels)} layers of widths {widths}",
        f"conv_clamp {checkpoint.conv_clamp}, classes {classes}",
        f"z {z_dim}, w {w_dim}, mapping of {stylegan3.count(shapes, stylegan3.MAPPING)} layers",
    ]


def load_generator(
    path: str | Path,
    *,
    label: int | None = None,
    precision: torch.dtype = torch.float32,
    name: str | None = None,
    note: Callable[[str], object] = lambda line: None,
) -> Generator:
    """Load the generator in a file: ``.safetensors``, PyTorch or NVIDIA pickle, or OpenVINO IR.

    Args:
        path: file, whose content decides what it is; either model of an OpenVINO pair will do.
        label: class to draw, for class-conditional weights.
        precision: type of StyleGAN2's activations, ``torch.float32`` or ``torch.bfloat16``.
        name: name of the generator in results, by default the file's.
        note: function that is called with a line about what is assumed.

    Raises:
        InputError: if the file holds no generator that can be drawn.
    """
    path = Path(path)
    with naming_file(path):
        checkpoint = read_checkpoint(path)
        tensors, name = checkpoint.load(), name or path.stem
        for key, value in tensors.items():
            if not value.isfinite().all():
                raise InputError(
                    f"the tensor {key[:80]!r} holds values that are not finite numbers"
                )
        generator = _built(checkpoint, tensors, name, label)
        generator.precision = precision
        _draw_once(generator)
        if checkpoint.assumed:
            note(f"{path.name}: {checkpoint.assumed}")
        return generator


def _built(
    checkpoint: Checkpoint, tensors: Mapping[str, Tensor], name: str, label: int | None
) -> Generator:
    """The generator of a checkpoint's tensors."""
    if checkpoint.architecture == "mobilestylegan":
        return MobileStyleGAN(tensors, name)
    if checkpoint.architecture == "dcgan":
        return dcgan.build_dcgan(tensors, name)
    kind = StyleGAN3 if checkpoint.architecture == "stylegan3" else StyleGAN2
    return kind(tensors, conv_clamp=checkpoint.conv_clamp, label=label, name=name)


@torch.no_grad()
def _draw_once(generator: Generator) -> None:
    """Refuse a generator whose mean picture is none.

    Raises:
        InputError: if it holds values that are not finite, or far beyond black and white.
    """
    state = generator.start(torch.zeros(1, *generator.latent_shape))
    picture = generator.image(generator.run(state, 0, generator.num_layers))
    if not picture.isfinite().all() or picture.abs().max() > FARTHEST:
        raise InputError("its weights give no picture, but values that are not finite or huge")


def convert(
    source: str | Path,
    target: str | Path,
    *,
    licence: str | None = None,
    measure: bool = True,
    mapping_rate: float | None = None,
) -> None:
    """Write the generator in ``source`` as ``.safetensors`` with metadata that says what it is.

    The metadata are texts: format, architecture, resolution, name, source, licence, and
    ``settings``, which is JSON of what tensors cannot say.

    Args:
        source: any file that `load_generator` takes.
        target: file to write, replaced as a whole.
        licence: note on the licence; by default, that the terms of the source file hold.
        measure: whether to store the statistics of every layer too, so that a user of the file need
            not measure them; class-conditional weights have none of their own.
        mapping_rate: learning rate multiplier of the mapping network, for rosinality's files, which
            do not record it; 0.01 by default.

    Raises:
        InputError: as `load_generator`, or if the file cannot be written.
    """
    source, target = Path(source), Path(target)
    with naming_file(source):
        checkpoint = read_checkpoint(source, mapping_rate)
        tensors = checkpoint.load()
        if measure and "mapping.embed.weight" not in tensors:
            tensors |= _measured(checkpoint, tensors)
    metadata = {
        "architecture": checkpoint.architecture,
        "resolution": str(_resolution(checkpoint)),
        "name": source.stem,
        "source": checkpoint.source,
        "licence": licence or checkpoint.licence or f"the terms of {source.name} hold",
        "settings": json.dumps({"conv_clamp": checkpoint.conv_clamp}),
    }
    write_converted(target, tensors, metadata)


def inspect(path: str | Path) -> Checkpoint:
    """Find out what a file is without loading its weights; ``str()`` of the answer describes it.

    Raises:
        InputError: as `load_generator`.
    """
    path = Path(path)
    with naming_file(path):
        return read_checkpoint(path)


TRIAL, FAR = 1000, 1.0  # codes of the self-test, and spreads that they may be off on average
ASSUMED_RATE = (
    "the learning rate multiplier of the mapping network, which the file does not record, is taken "
    "to be {:g}; `interlayer convert --lr-mlp` sets another"
)
FARTHEST = 1e4  # value of a pixel that a picture may have


def read_checkpoint(path: Path, mapping_rate: float | None = None) -> Checkpoint:
    """Read the names and shapes of the generator in a file; see `load_generator`.

    Args:
        path: the file.
        mapping_rate: learning rate multiplier of the mapping network of a file that records none.

    Raises:
        InputError: as `load_generator`, or if the multiplier is none or the file records it.
    """
    if mapping_rate is not None and not 0 < mapping_rate < math.inf:
        raise InputError(f"a learning rate multiplier is above 0 and finite, not {mapping_rate}")
    checkpoint = _read(path, mapping_rate)
    if mapping_rate is not None and not checkpoint.assumed:
        raise InputError("the file says its learning rate multiplier itself; leave out --lr-mlp")
    return checkpoint


def _read(path: Path, mapping_rate: float | None) -> Checkpoint:
    kind = _detect_format(path)
    if kind == "safetensors":
        return _read_safetensors(path)
    if kind == "openvino":
        tensors = read_openvino_pair(path)
        shapes = {name: tuple(value.shape) for name, value in tensors.items()}
        return Checkpoint("OpenVINO models", "mobilestylegan", shapes, None, "", lambda: tensors)
    found = find_generator(open_torch_file(path), path.stat().st_size)
    if mapping_rate is not None and isinstance(found, ForeignGenerator):
        found = replace(found, mapping_rate=mapping_rate)
    return _of_foreign(found)


def _of_foreign(found: ForeignGenerator | StyleGAN3File) -> Checkpoint:
    """A generator in another project's layout."""
    if isinstance(found, StyleGAN3File):
        source = "an NVIDIA pickle"
        return Checkpoint(source, "stylegan3", found.shapes, found.conv_clamp, "", found.load)
    shapes = found.layout.shapes()
    source = {"nvidia": "an NVIDIA pickle", "rosinality": "a rosinality checkpoint"}[found.kind]
    assumed = "" if found.kind == "nvidia" else ASSUMED_RATE.format(found.mapping_rate)
    return Checkpoint(source, "stylegan2", shapes, found.conv_clamp, "", found.load, assumed)


@torch.no_grad()
def self_test(path: str | Path) -> str:
    """Load the generator in a file, draw its mean picture and compare its codes with the file's.

    A file keeps the average of style codes w in training. Codes far from it mean that the mapping
    network is not read as it was trained.

    Raises:
        InputError: as `load_generator`.
    """
    path = Path(path)
    with naming_file(path):
        checkpoint = read_checkpoint(path)
        label = 0 if "mapping.embed.weight" in checkpoint.shapes else None
    generator = load_generator(path, label=label)
    picture = generator(torch.zeros(1, *generator.latent_shape))
    lines = [
        f"self-test: the mean picture has values from {picture.min():.2f} to {picture.max():.2f}"
    ]
    if isinstance(generator, StyleGenerator) and "mapping.mean" in checkpoint.load():
        w = generator.mapping(gaussian_by_seed([0], (TRIAL, generator.z_dim))[0])
        average = generator.get_buffer("mapping_mean")
        distance = ((w.mean(0) - average) / w.std(0)).square().mean().sqrt().item()
        lines.append(f"self-test: codes w are {distance:.2f} spreads from the file's own average")
        if label is None and distance > FAR:
            lines[-1] += (
                ", which looks wrong: its mapping network may have another learning rate "
                "multiplier, see `interlayer convert --lr-mlp`"
            )
    return "\n".join(lines)


def _measured(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Measure the whitening and the statistics of every layer, as tensors to store."""
    generator = _built(checkpoint, tensors, "measured", None)
    latent: dict[str, Tensor] = {}
    if isinstance(generator, StyleGenerator):
        latent = {f"latent.{p}": generator.get_buffer(f"latent_{p}") for p in ("mean", "std")}
    return latent | statistics_tensors(generator)


def _resolution(checkpoint: Checkpoint) -> int:
    """Height and width of the images."""
    if checkpoint.architecture == "stylegan2":
        return Layout.infer(checkpoint.shapes).resolution
    if checkpoint.architecture in ("stylegan3", "dcgan"):
        label = 0 if "mapping.embed.weight" in checkpoint.shapes else None
        return _built(checkpoint, checkpoint.load(), "measured", label).resolution
    doublings = sum(key.endswith(".up.style.weight") for key in checkpoint.shapes) + 1
    return checkpoint.shapes["constant"][-1] * 2**doublings


def _detect_format(path: Path) -> Format:
    """Tell the kind of a file from its first bytes."""
    if not path.is_file():
        raise InputError("there is no such file")
    size = path.stat().st_size
    if size > MAX_FILE:
        raise InputError(f"the file has {size:,} bytes, more than any generator's")
    with path.open("rb") as file:
        head = file.read(64)
    if head[:2] == b"\x1f\x8b":
        raise InputError("the file is compressed; unpack it first, e.g. with gunzip")
    if head.lstrip().startswith((b"<?xml", b"<net")):
        return "openvino"
    if head[:4] == b"PK\x03\x04" or head[:2] in (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"):
        return "pytorch"
    if head[8:9] == b"{" and 8 + int.from_bytes(head[:8], "little") <= size:
        return "safetensors"
    if path.suffix.lower() == ".onnx" or (head[:1] == b"\x08" and head[2:3] == b"\x12"):
        raise InputError(
            "this is an ONNX graph, and nothing in it is run; give the module that it was made "
            "from to interlayer.Sequential, as docs/extending.md shows"
        )
    beginning = head.lstrip().lower()
    if beginning.startswith(b"version https://git-lfs"):
        raise InputError(
            "this is a Git LFS pointer, which stands for the weights; fetch them by `git lfs pull`"
        )
    if beginning.startswith((b"<!doctype html", b"<html")):
        raise InputError(
            "this is a web page, such as is shown before a large download; download the file "
            "itself in a browser"
        )
    raise InputError(
        "the file is no generator: neither .safetensors, nor a PyTorch or NVIDIA pickle, "
        "nor OpenVINO IR"
    )


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            shapes = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"the .safetensors file is damaged ({error})") from None
    architecture = metadata.get("architecture", "")
    if metadata.get("format") is None:
        lazy = {name: _lazy(path, name, shape) for name, shape in shapes.items()}
        return _of_foreign(generator_of(Found(lazy), 4 * path.stat().st_size))
    if metadata["format"] != FORMAT:
        raise InputError("the .safetensors file was not written by `interlayer convert`")
    if architecture not in CHECKS:
        raise InputError(f"the file holds weights of {architecture[:40]!r}, which is no generator")
    CHECKS[architecture](shapes)

    def load() -> dict[str, Tensor]:
        try:
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key).float() for key in shapes}
        except (SafetensorError, OSError) as error:
            raise InputError(f"the .safetensors file is damaged ({error})") from None

    clamp = _conv_clamp_setting(metadata.get("settings", "{}"))
    licence = metadata.get("licence", "")
    return Checkpoint("a converted file", architecture, shapes, clamp, licence, load)


def _lazy(path: Path, name: str, shape: tuple[int, ...]) -> LazyTensor:
    """A tensor of a .safetensors file, in single precision once it is read."""

    def read() -> bytes:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor(name).float().contiguous().numpy().tobytes()

    strides = tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))
    return LazyTensor(shape, strides, 0, Storage(torch.float32, math.prod(shape), read))


def _conv_clamp_setting(settings: str) -> float | None:
    try:
        match json.loads(settings):
            case {"conv_clamp": float() | int() as bound} if 0 < bound < 2**63:
                return float(bound)
            case {"conv_clamp": None}:
                return None
            case {**others} if not others:
                return None
    except (ValueError, RecursionError):  # a number of thousands of digits too
        pass
    raise InputError("the .safetensors file's settings are damaged")
