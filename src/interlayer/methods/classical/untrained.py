"""An untrained network as the prior, fitted to the measurements of one image."""

from __future__ import annotations

from math import inf, log2

import torch
import torch.nn.functional as F
from deepinv.models import ConvDecoder
from deepinv.physics import LinearPhysics, Physics
from torch import Tensor

from interlayer.methods.classical.sparse import HELD_OUT, linear
from interlayer.problem.fidelity import fidelity_for
from interlayer.problem.holdout import split_measurements

CODE, CHANNELS, LARGEST = 4, 64, 256
LEARNING_RATE, PATIENCE = 0.01, 100


def dip(
    physics: Physics,
    y: Tensor,
    weight: Tensor | None = None,
    *,
    steps: int = 400,
    seed: int = 0,
) -> Tensor:
    """Fit an untrained convolutional decoder, and stop when held-out measurements get worse.

    deepinv's `ConvDecoder` draws at most 256x256 pixels, which are enlarged to the image; Adam
    minimises the error that suits the noise. A tenth of the measurements choose the step whose
    image is returned, and end the run when they have not improved for 100 steps.

    Args:
        physics: a linear operator with a gradient.
        y: measurements (B, ...).
        weight: 1 for measurements that may be used, 0 for others; ``None`` uses all.
        steps: at most; the network is run and differentiated in each.
        seed: of the network, the same for every image.

    Returns:
        Images (B, C, H, W) in [0, 1].

    Raises:
        InputError: if the operator is not linear.

    Reference: Ulyanov, Vedaldi, Lempitsky, Deep Image Prior, arXiv 1711.10925; Darestani and
    Heckel, Accelerated MRI with un-trained neural networks, arXiv 2007.02471.

    >>> from interlayer.problem.tasks import make_physics
    >>> physics = make_physics("inpaint:0.5", (3, 16, 16))
    >>> x_hat = dip(physics, physics(torch.full((1, 3, 16, 16), 0.2)), steps=50)
    >>> bool((x_hat - 0.2).abs().mean() < 0.1)
    True
    """
    physics = linear(physics)
    weight = torch.ones(1, device=y.device) if weight is None else weight
    weights = weight.expand(len(y), *weight.shape[1:])
    images = zip(y.split(1), weights.split(1), strict=True)
    return torch.cat([_fitted(physics, *image, steps, seed) for image in images])


def _fitted(physics: LinearPhysics, y: Tensor, weight: Tensor, steps: int, seed: int) -> Tensor:
    """The same for one image."""
    like = physics.A_adjoint(y)
    split = split_measurements(physics, y, like, HELD_OUT, [seed])
    net, code = _decoder(like, seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    error = fidelity_for(physics)
    x_hat, least, age = like, inf, 0
    for _ in range(steps):
        with torch.enable_grad():
            x = F.interpolate(net(code).sigmoid(), like.shape[-2:], mode="bilinear")
            predicted = physics.A(x)
            optimiser.zero_grad()
            error(predicted, y, weight * split.fit).sum().backward()
        optimiser.step()
        held_out = error(predicted.detach(), y, weight * split.held).item()
        age += 1
        if not held_out > least:  # nor NaN, which it is where too few are measured to hold any out
            x_hat, least, age = x.detach(), held_out, 0
        if age == PATIENCE:
            break
    return x_hat


def _decoder(like: Tensor, seed: int) -> tuple[ConvDecoder, Tensor]:
    """A network whose layers double the size up to that of the image, or 256, and its input."""
    shrunk = min(1, LARGEST / max(like.shape[-2:]))
    height, width = (max(1, round(shrunk * side)) for side in like.shape[-2:])
    layers = 1 + max(1, round(log2(max(height, width) / CODE)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ConvDecoder((like.shape[1], height, width), (CODE, CODE), layers, CHANNELS)
        code = torch.randn(1, CHANNELS, CODE, CODE)
    return net.to(like.device), code.to(like)
