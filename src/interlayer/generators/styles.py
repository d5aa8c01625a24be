"""Parts of style-based generators: weights by dotted name, and a whitened space of styles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

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

    @abstractmethod
    def mapping(self, gaussian: Tensor) -> Tensor:
        """Return style codes w (B, w_dim) of Gaussian latents (B, z_dim)."""

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


def normalise(gaussian: Tensor) -> Tensor:
    """Scale each row to mean square one: ``z / sqrt(mean z² + 1e-8)``."""
    return gaussian * (gaussian.square().mean(-1, keepdim=True) + 1e-8).rsqrt()
