"""An untrained network as the prior, fitted to the measurements of one image."""

from __future__ import annotations

from math import inf, log2

import torch
import torch.nn.functional as F
from deepinv.models import ConvDecoder
from torch import Tensor

from interlayer.methods.classical.sparse import HELD_OUT
from interlayer.problem.problem import Problem

CODE, CHANNELS, LARGEST = 4, 64, 256
LEARNING_RATE, PATIENCE = 0.01, 100


def dip(
    problem: Problem,
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
        problem: measurements (B, ...) by a linear operator with a gradient.
        weight: mask, 1 for measurements that may be used, 0 for others; ``None`` uses all.
        steps: largest number of steps; the network is run and differentiated in each.
        seed: seed of the network, the same for every image.

    Returns:
        Images (B, C, H, W) in [0, 1].

    Raises:
        InputError: if the operator is not linear.

    Reference: Ulyanov, Vedaldi, Lempitsky, Deep Image Prior, arXiv 1711.10925; Darestani and
    Heckel, Accelerated MRI with un-trained neural networks, arXiv 2007.02471.

    >>> from interlayer.problem import measure
    >>> problem = measure(torch.full((1, 3, 16, 16), 0.2), "inpaint:0.5", seed=0)
    >>> x_hat = dip(problem, steps=50)
    >>> bool((x_hat - 0.2).abs().mean() < 0.1)
    True
    """
    weight = torch.ones(1, device=problem.y.device) if weight is None else weight
    weights = weight.expand(len(problem), *weight.shape[1:])
    images = zip(map(problem.alone, range(len(problem))), weights.split(1), strict=True)
    return torch.cat([_fitted(*image, steps, seed) for image in images])


def _fitted(problem: Problem, weight: Tensor, steps: int, seed: int) -> Tensor:
    """The fit of one image."""
    physics, y = problem.linear_physics, problem.y
    like = physics.A_adjoint(y)
    split = problem.split(like, HELD_OUT, [seed])
    net, code = _decoder(like, seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    error = problem.natural_fidelity
    x_hat, least, age = like, inf, 0
    for _ in range(steps):
        with torch.enable_grad():
            x = F.interpolate(net(code).sigmoid(), like.shape[-2:], mode="bilinear")
            predicted = physics.A(x)
            optimiser.zero_grad()
            error(predicted, y, weight * split.fit, x).sum().backward()
        optimiser.step()
        held_out = error(predicted.detach(), y, weight * split.held, x).item()
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
