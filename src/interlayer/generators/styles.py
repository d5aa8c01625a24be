"""Parts of style-based generators: weights by dotted name, and a whitened space of styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators.base import Generator, gaussian_by_seed

MEAN_SAMPLES = 10_000
EXACT_UP_TO = 32


class StyleGenerator(Generator):
    """Generator driven by one style code w for each of its ``num_ws`` style inputs.

    ``z`` is PULSE's whitened style space: ``w = lrelu_0.2(std * z + mean)`` with mean and standard
    deviation of ``lrelu_5(w)`` over mapped Gaussians, of shape (B, num_ws, w_dim).

    Reference: Menon et al., PULSE, arXiv 2003.03808.
    """

    num_ws: int
    z_dim: int
    mapping_depth: int
    num_classes: int = 0
    label: int | None = None

    def mapping(self, gaussian: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return style codes w (B, w_dim) of Gaussian latents (B, z_dim).

        ``condition`` (B, num_classes) replaces the one-hot vector of the generator's own class.
        """
        w = normalise(gaussian)
        if self.num_classes:
            weight, bias = self._get("mapping.embed.weight"), self._get("mapping.embed.bias")
            if condition is None:
                condition = torch.eye(self.num_classes)[[self.label or 0]].to(w)
            embedding = normalise(F.linear(condition, weight, bias))
            w = torch.cat([w, embedding.expand(len(w), -1)], 1)
        return self.fully_connected(w, self.mapping_depth)

    def truncate(self, w: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """Pull codes w (B, w_dim) of the first ``cutoff`` inputs to ``mean + psi (w - mean)``.

        The result, with w itself for the other inputs, is (B, num_ws, w_dim). Published samples are
        truncated so; `sample` truncates the whitened code.
        """
        ws = w[:, None].expand(-1, self.num_ws, -1)
        cutoff = self.num_ws if cutoff is None else cutoff
        mean = self._get("mapping.mean")
        return torch.cat([mean.lerp(ws[:, :cutoff], psi), ws[:, cutoff:]], 1)

    def hold(self, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors by dotted name, and the layer statistics among them."""
        self.keep_statistics(tensors)
        for key, value in tensors.items():
            if not key.startswith("statistics."):
                self.register_buffer(key.replace(".", "_"), value)

    def _dtype(self, index: int) -> torch.dtype:
        """Type of the activations of the block that doubles to ``4 * 2**index`` px."""
        return self.precision if 4 * 2**index > EXACT_UP_TO else torch.float32

    def _get(self, key: str) -> Tensor:
        return getattr(self, key.replace(".", "_"))

    def scale(self, prefix: str, w: Tensor) -> Tensor:
        """Return the scale (B, C) that a layer makes of its style code (B, w_dim).

        There is one product for each image: the rounding of a product of the batch depends on its
        size, and a last bit is enough to send two long optimisations apart.
        """
        weight, bias = self._get(f"{prefix}.style.weight"), self._get(f"{prefix}.style.bias")
        return torch.stack([F.linear(each, weight, bias) for each in w])

    def fully_connected(self, w: Tensor, depth: int) -> Tensor:
        """Apply the mapping network's layers, ``w <- √2 lrelu_0.2(W_i w + b_i)``.

        A tensor ``mapping.activation`` holds another slope, and another gain than √2.
        """
        slope, gain = getattr(self, "mapping_activation", torch.tensor([0.2, 2**0.5])).tolist()
        for i in range(depth):
            w = F.linear(w, self._get(f"mapping.{i}.weight"), self._get(f"mapping.{i}.bias"))
            w = F.leaky_relu(w, slope) * gain
        return w

    @torch.no_grad()
    def complete_latent(self) -> None:
        """Measure what is missing of the codes' mean and of their whitening."""
        if not hasattr(self, "mapping_mean"):
            gaussian = gaussian_by_seed([0], (MEAN_SAMPLES, self.z_dim))[0]
            self.register_buffer("mapping_mean", self.mapping(gaussian).mean(0))
        if not hasattr(self, "latent_mean"):
            self.measure_latent()

    @torch.no_grad()
    def measure_latent(self) -> None:
        """Measure mean and standard deviation of style codes before their last activation."""
        gaussian = gaussian_by_seed([0], (MEAN_SAMPLES, self.z_dim))[0]
        before = F.leaky_relu(self.mapping(gaussian), 5.0)
        self.register_buffer("latent_mean", before.mean(0))
        self.register_buffer("latent_std", before.std(0))

    def whiten(self, ws: Tensor) -> Tensor:
        """Return latent codes z of style codes w, elementwise; the inverse of `styles`."""
        return (F.leaky_relu(ws, 5.0) - self._get("latent.mean")) / self._get("latent.std")

    def styles(self, z: Tensor) -> Tensor:
        """Return style codes ``w = lrelu_0.2(std * z + mean)``."""
        return F.leaky_relu(self._get("latent.std") * z + self._get("latent.mean"), 0.2)

    def sample(self, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
        """Draw whitened codes (B, num_ws, w_dim), one w for all style inputs."""
        gaussian = gaussian_by_seed(seeds, (self.z_dim,))
        z = self.whiten(self.mapping(gaussian.to(self._get("latent.mean").device)))
        return (truncation * z)[:, None].expand(-1, self.num_ws, -1).contiguous()


def check_label(label: int | None, classes: int) -> int | None:
    """Return the class to draw, and refuse one that is missing or does not exist."""
    if classes and label is None:
        raise InputError(
            f"the generator draws one of {classes} classes; give a label from 0 to {classes - 1}"
        )
    if label is not None and not 0 <= label < classes:
        raise InputError(f"the label {label} does not exist: the generator has {classes} classes")
    return label


def normalise(gaussian: Tensor) -> Tensor:
    """Scale each row to mean square one: ``z / sqrt(mean z² + 1e-8)``."""
    return gaussian * (gaussian.square().mean(-1, keepdim=True) + 1e-8).rsqrt()
