"""Training of learned priors on the samples of a generator; no photo is needed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.networks.denoiser import Denoiser
from interlayer.recipes.learned_prior import LearnedPrior

STEPS = 6000
WIDTH = 256
BATCH = 32
LEARNING_RATE = 3e-3
SIGMAS = (0.05, 5.0)
FOR_MEAN = 256
FIRST_SEED = 2**20  # of a run with seed 0; statistics and starts take the first few


@dataclass(frozen=True)
class TrainingState:
    """Step of a training.

    Attributes:
        layer: layer whose denoiser is trained.
        step: number of its steps so far.
        loss: error of the denoiser on a batch that it had not seen, over that of a Gaussian's best
            estimate ``u / (1 + σ²)``; below 1 it knows more than mean and spread.
        prior: the denoisers that are finished.
    """

    layer: int
    step: int
    loss: float
    prior: LearnedPrior


def train_prior(
    generator: Generator, layers: Sequence[int] = (2,), steps: int = STEPS, seed: int = 0
) -> Iterator[TrainingState]:
    """Train denoisers of layers' inputs, as arXiv 2206.09104 trains its score network.

    The loss of a step is ``E ||D(u + σ ε; σ) - u||² (1 + σ²) / σ²`` over fresh samples of the
    prior, ``log σ`` being uniform from 0.05 to 5 standard deviations.

    Args:
        generator: generator whose samples teach.
        layers: layers to learn.
        steps: number of steps for each layer.
        seed: seed of the samples, the noise and the weights.

    Raises:
        InputError: if a layer has no input of positions (C, H, W).

    >>> from interlayer.generators import ToyGenerator
    >>> for state in train_prior(ToyGenerator(), layers=[2], steps=3):
    ...     pass
    >>> state.step, sorted(state.prior.denoisers)
    (3, [2])
    """
    prior = LearnedPrior({}, generator.name)
    for layer in layers:
        draw = _Draws(generator, layer, seed)
        net = draw.denoiser()
        optimiser = torch.optim.Adam(net.parameters(), LEARNING_RATE)
        for step in range(1, steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
            u, sigma, noisy = draw.batch(net)
            error = (net(noisy, sigma) - u).square().flatten(1).mean(1)
            optimiser.zero_grad()
            (error * (1 + sigma.square()) / sigma.square()).mean().backward()
            optimiser.step()
            linear = noisy / (1 + sigma.square())[:, None, None, None]
            gaussian = (linear - u).square().flatten(1).mean(1)
            loss = (error.detach() / gaussian).mean().item()
            if step == steps:
                net = net.eval().requires_grad_(False)
                prior = LearnedPrior({**prior.denoisers, layer: net}, generator.name)
            yield TrainingState(layer, step, loss, prior)


class _Draws:
    """Batches of noisy layer inputs; the same for a seed, whatever was drawn elsewhere."""

    def __init__(self, generator: Generator, layer: int, seed: int) -> None:
        if not 1 <= layer < generator.num_layers:
            raise InputError(
                f"layer {layer} of {generator.name} has no input to learn; choose from 1 to "
                f"{generator.num_layers - 1}"
            )
        self.generator, self.layer = generator, layer
        self.seeds = itertools.count(FIRST_SEED * (1 + seed % 1024))
        self.rng = torch.Generator().manual_seed(seed)

    def inputs(self) -> Tensor:
        """The layer's input for fresh samples."""
        z = self.generator.sample([next(self.seeds) for _ in range(BATCH)])
        h = self.generator.run(self.generator.start(z), 0, self.layer).h
        if h is None or h.ndim != 4:
            raise InputError(
                f"the input of layer {self.layer} of {self.generator.name} has no positions to "
                "learn; choose another"
            )
        return h.float()

    def denoiser(self) -> Denoiser:
        """A denoiser with the statistics of the layer and random weights."""
        mean = torch.stack([self.inputs().mean(0) for _ in range(FOR_MEAN // BATCH)]).mean(0)
        std = self.generator.statistics(self.layer).std.float()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=self.rng)))
            return Denoiser(mean, std.to(mean.device), WIDTH).to(mean.device)

    @torch.no_grad()
    def batch(self, net: Denoiser) -> tuple[Tensor, Tensor, Tensor]:
        """Whitened inputs, levels (B,) and the inputs with noise of these levels."""
        u = net.whiten(self.inputs())
        low, high = map(math.log, SIGMAS)
        spread = torch.rand(len(u), generator=self.rng) * (high - low) + low
        sigma = spread.exp().to(u.device)
        noise = torch.randn(u.shape, generator=self.rng).to(u.device)
        return u, sigma, u + sigma[:, None, None, None] * noise
