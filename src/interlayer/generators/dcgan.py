"""DCGAN (arXiv 1511.06434), transposed convolutions from a Gaussian code to a small image."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from interlayer.generators.layout import Shape, compare_shapes
from interlayer.generators.sequential import Sequential


def build_dcgan(tensors: Mapping[str, Tensor], name: str = "dcgan") -> Sequential:
    """Build the generator, cut behind every ReLU, from its state dictionary.

    Layer 0 turns the code into a 4x4 activation, and every later one doubles its size; the widths
    are those of the tensors.

    Args:
        tensors: entries of an ``nn.Sequential`` of transposed convolutions, each but the last one
            followed by a batch normalisation and a ReLU; and ``statistics.{layer}``, if measured.
        name: name of the generator in results.
    """
    weights = {key: value for key, value in tensors.items() if not key.startswith("statistics.")}
    places = sorted(int(key.split(".")[0]) for key, value in weights.items() if value.ndim == 4)
    kernels = [weights[f"{place}.weight"] for place in places]
    parts: list[nn.Module] = []
    for i, (inputs, width, size, _) in enumerate(kernel.shape for kernel in kernels):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        parts.append(nn.ConvTranspose2d(inputs, width, size, stride, padding, bias=False))
        parts += [nn.BatchNorm2d(width), nn.ReLU()] if i < len(kernels) - 1 else [nn.Tanh()]
    module = nn.Sequential(*parts)
    module.load_state_dict(weights)
    cuts = [str(3 * i + 2) for i in range(len(kernels) - 1)]
    generator = Sequential(module, cuts, latent_shape=(kernels[0].shape[0], 1, 1), name=name)
    generator.keep_statistics(tensors)
    return generator


def check_shapes(shapes: Mapping[str, Shape]) -> None:
    """Refuse tensors that are not those of a DCGAN as `build_dcgan` takes them.

    Raises:
        InputError: if a tensor is missing, unknown or of the wrong shape; the sentence names it.
    """
    kernels = []
    while len(shape := shapes.get(f"{3 * len(kernels)}.weight", ())) == 4:
        kernels.append(shape)
    expected: dict[str, Shape] = {}
    optional: dict[str, Shape] = {}
    inputs = kernels[0][0] if kernels else 0
    for i, (_, width, height, _) in enumerate(kernels or [(1, 1, 4, 4)]):
        expected[f"{3 * i}.weight"] = (inputs, width, height, height)
        if i < len(kernels) - 1:
            parts = ("weight", "bias", "running_mean", "running_var")
            expected |= {f"{3 * i + 1}.{part}": (width,) for part in parts}
            optional[f"{3 * i + 1}.num_batches_tracked"] = ()
            optional[f"statistics.{i + 1}"] = (width, 1, 1)
        inputs = width
    compare_shapes(shapes, expected, optional)
