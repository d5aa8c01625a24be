"""Hyper-parameters of a StyleGAN2, and the name and shape of every tensor they call for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from interlayer.errors import InputError

_MOST_BLOCKS = 11
_LARGEST = 8192
Shape = tuple[int, ...]
Output = Literal["skip", "resnet", "orig"]


@dataclass(frozen=True)
class Layout:
    """Hyper-parameters that fix the tensors of a StyleGAN2.

    Attributes:
        channels: width of each resolution block, from 4x4 px up.
        z_dim: size of the Gaussian latent.
        mapping: output width of each layer of the mapping network; the last is ``w_dim``.
        output: way in which blocks make the image: ``skip`` adds up an image term of each block,
            ``orig`` takes the last block's, and ``resnet`` does too and adds each block to its
            input.
        noise: whether convolutions have noise maps.
        num_classes: length of the class condition, 0 for none.
        embedding: width of the embedded condition.
        colours: number of channels of the image, 1 to 4.
    """

    channels: tuple[int, ...]
    z_dim: int
    mapping: tuple[int, ...]
    output: Output = "skip"
    noise: bool = True
    num_classes: int = 0
    embedding: int = 0
    colours: int = 3

    @property
    def resolution(self) -> int:
        return 2 ** (len(self.channels) + 1)

    @property
    def w_dim(self) -> int:
        return self.mapping[-1]

    @staticmethod
    def convolutions(block: int) -> tuple[str, ...]:
        """Names of a block's 3x3 convolutions, in order."""
        size = 4 * 2**block
        return (f"{size}.conv1",) if block == 0 else (f"{size}.conv0", f"{size}.conv1")

    @staticmethod
    def position(convolution: str) -> int:
        """Number of a convolution's style input and noise map.

        The style input of a block's image term is one more than its last convolution's.

        >>> [Layout.position(name) for name in ("4.conv1", "8.conv0", "8.conv1", "16.conv0")]
        [0, 1, 2, 3]
        """
        size, _, which = convolution.partition(".conv")
        return 2 * (int(size).bit_length() - 3) - 1 + int(which)

    def shapes(self) -> dict[str, Shape]:
        """Name and shape of every tensor that must be there."""
        shapes: dict[str, Shape] = {"constant": (1, self.channels[0], 4, 4)}
        width = self.z_dim + self.embedding
        for i, outputs in enumerate(self.mapping):
            shapes |= linear_shapes(f"mapping.{i}", width, outputs)
            width = outputs
        if self.num_classes:
            shapes |= linear_shapes("mapping.embed", self.num_classes, self.embedding)
        for block in range(len(self.channels)):
            shapes |= self._block_shapes(block)
        return shapes

    def _block_shapes(self, block: int) -> dict[str, Shape]:
        size, outputs = 4 * 2**block, self.channels[block]
        inputs = self.channels[max(block - 1, 0)]
        shapes: dict[str, Shape] = {}
        if self.output == "resnet" and block:
            shapes[f"{size}.skip.weight"] = (outputs, inputs, 1, 1)
        for conv in self.convolutions(block):
            width = inputs if conv.endswith("conv0") else outputs
            shapes[f"{conv}.weight"] = (outputs, width, 3, 3)
            shapes[f"{conv}.bias"] = (outputs,)
            shapes |= linear_shapes(f"{conv}.style", self.w_dim, width)
            if self.noise:
                shapes |= {f"{conv}.noise": (1, 1, size, size), f"{conv}.strength": ()}
        if self.output == "skip" or block == len(self.channels) - 1:
            colours = self.colours
            shapes |= {
                f"{size}.rgb.weight": (colours, outputs, 1, 1),
                f"{size}.rgb.bias": (colours,),
            }
            shapes |= linear_shapes(f"{size}.rgb.style", self.w_dim, outputs)
        return shapes

    @classmethod
    def infer(
        cls, shapes: Mapping[str, Shape], called: Callable[[str], str] = lambda name: name
    ) -> Layout:
        """Infer the layout from the shapes of all tensors.

        Args:
            shapes: shapes by our names; ``mapping.mean``, ``mapping.activation``, ``latent.*`` and
                ``statistics.*`` may be among them.
            called: function from our name of a tensor to the file's, for messages.

        Raises:
            InputError: if a tensor is missing, unknown or of the wrong shape; the sentence names
                it.
        """
        _check_constant(shapes.get("constant"), called("constant"))
        widths = _outputs(shapes, [f"{4 * 2**i}.conv1.weight" for i in range(_MOST_BLOCKS)])
        mapping = _outputs(shapes, [f"mapping.{i}.weight" for i in range(64)])
        for found, first in ((widths, "4.conv1.weight"), (mapping, "mapping.0.weight")):
            if not found:
                raise InputError(f"the generator lacks the tensor {called(first)!r}")
        embedding, num_classes = _pair(shapes, "mapping.embed.weight")
        z_dim = _pair(shapes, "mapping.0.weight")[1] - embedding
        sizes = (*widths, *mapping, z_dim)
        if min(sizes) < 1 or max(*sizes, num_classes) > _LARGEST:
            raise InputError(f"the generator's layers are not 1 to {_LARGEST} channels wide")
        output = "resnet" if "8.skip.weight" in shapes else "orig"
        if len(widths) == 1 or "4.rgb.weight" in shapes:
            output = "skip"
        noise = "4.conv1.noise" in shapes
        last = shapes.get(f"{2 ** (len(widths) + 1)}.rgb.weight", ())
        colours = last[0] if last and 1 <= last[0] <= 4 else 3
        layout = cls(widths, z_dim, mapping, output, noise, num_classes, embedding, colours)
        layout.check(shapes, called)
        return layout

    def check(self, shapes: Mapping[str, Shape], called: Callable[[str], str]) -> None:
        """Refuse shapes that are not those of this layout; see `infer`."""
        optional: dict[str, Shape] = {"mapping.mean": (self.w_dim,), "mapping.activation": (2,)}
        optional |= dict.fromkeys(("latent.mean", "latent.std"), (self.w_dim,))
        for i in range(1, len(self.channels)):
            optional[f"statistics.{i}"] = (self.channels[i - 1], 1, 1)
        compare_shapes(shapes, self.shapes(), optional, called)

    def random_tensors(self, seed: int) -> dict[str, Tensor]:
        """Draw weights as before training, but with biases and noise strengths that act."""
        generator = torch.Generator().manual_seed(seed)
        tensors = {}
        for name, shape in self.shapes().items():
            gain = 1.0
            if name.endswith(("bias", "strength")):
                gain = 0.1
            elif len(shape) == 2 or name.endswith("skip.weight"):
                gain = shape[1] ** -0.5
            value = gain * torch.randn(shape, generator=generator)
            if name.endswith("style.bias"):
                value += 1
            if ".rgb.style" in name:
                value *= 0.3 * shape[0] ** -0.5  # gives images the contrast of photographs
            tensors[name] = value
        return tensors


def compare_shapes(
    shapes: Mapping[str, Shape],
    expected: Mapping[str, Shape],
    optional: Mapping[str, Shape],
    called: Callable[[str], str] = lambda name: name,
) -> None:
    """Refuse tensors that are missing, unknown or of the wrong shape, by name.

    >>> compare_shapes({"a": (1, 2)}, {"a": (2, 2)}, {})
    Traceback (most recent call last):
    ...
    interlayer.errors.InputError: the tensor 'a' has shape 1x2 instead of 2x2
    """
    for name in expected:
        if name not in shapes:
            raise InputError(f"the generator lacks the tensor {called(name)!r}")
    wanted = {**optional, **expected}
    for name, shape in shapes.items():
        if name not in wanted:
            raise InputError(f"the generator holds an unknown tensor {called(name)[:80]!r}")
        if shape != wanted[name]:
            found, right = _show(shape), _show(wanted[name])
            raise InputError(f"the tensor {called(name)!r} has shape {found} instead of {right}")


def linear_shapes(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    """Weight and bias of a fully connected layer."""
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _outputs(shapes: Mapping[str, Shape], names: list[str]) -> Shape:
    """First sizes of the tensors with these names, up to the first missing one."""
    sizes = []
    for name in names:
        if not shapes.get(name):
            break
        sizes.append(shapes[name][0])
    return tuple(sizes)


def _pair(shapes: Mapping[str, Shape], name: str) -> tuple[int, int]:
    shape = shapes.get(name, (0, 0))
    return (shape[0], shape[1]) if len(shape) == 2 else (0, 0)


def _check_constant(shape: Shape | None, name: str) -> None:
    if shape is None:
        raise InputError(f"the generator lacks the tensor {name!r}")
    if len(shape) == 4 and shape[2:] != (4, 4):
        raise InputError(
            f"the generator grows from {shape[2]}x{shape[3]} px, but only square images with a "
            "power of two on a side can be drawn"
        )


def _show(shape: Shape) -> str:
    return "x".join(str(n) for n in shape) or "a scalar's"
