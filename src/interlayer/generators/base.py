"""Generators: numbered layers, a state that crosses a cut, and statistics of the prior."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from interlayer.errors import InputError

# PyTorch heeds 32 bits of a seed: the lower half of them is for starts, the upper one for truths.
_FIRST_TRUTH = 2**31


@dataclass(frozen=True)
class LayerState:
    """Everything that crosses a cut between two layers of a generator, for a batch of B images.

    Attributes:
        h: activation (B, C, H, W) that enters the next layer; ``None`` before the first layer of a
            generator that grows from a constant.
        ws: style codes (B, num_ws, w_dim), one per style input; ``None`` where there are none.
        noise: noise maps of all layers, each (1 or B, 1, H, W); empty if there are none.
        rgb: running image (B, 3, H, W) of generators with an RGB skip, else ``None``.
    """

    h: Tensor | None = None
    ws: Tensor | None = None
    noise: tuple[Tensor, ...] = ()
    rgb: Tensor | None = None

    def map(self, fn: Callable[[Tensor], Tensor]) -> LayerState:
        """Return the state with ``fn`` applied to every tensor in it."""
        return LayerState(
            h=None if self.h is None else fn(self.h),
            ws=None if self.ws is None else fn(self.ws),
            noise=tuple(fn(n) for n in self.noise),
            rgb=None if self.rgb is None else fn(self.rgb),
        )


@dataclass(frozen=True)
class LayerStatistics:
    """Spread of the input of one layer over the generator's own samples.

    ``std[c]^2 = mean over positions of Var over samples of h[c, position]``, shape (C, 1, 1), or
    (C,) where the activation has no positions. It is the unit of length at that layer: radii and
    step sizes are multiples of it.
    """

    std: Tensor


class Generator(nn.Module, ABC):
    r"""A pre-trained generator ``G = G_L ∘ … ∘ G_1`` that can be cut between any two layers.

    The latent code ``z`` (B, \*latent_shape) is whitened: the prior is close to a standard
    Gaussian, and ``z = 0`` is the generator's mean. Weights never take gradients; use is free of
    mode flags: what a call computes depends on its arguments alone.

    >>> from interlayer.generators import ToyGenerator
    >>> G = ToyGenerator()
    >>> state = G.start(G.sample([0]))
    >>> cut = G.run(state, 0, 2)
    >>> torch.equal(G.image(G.run(cut, 2, G.num_layers)), G.image(G.run(state, 0, G.num_layers)))
    True
    """

    name: str
    num_layers: int
    resolution: int
    channels: int = 3
    precision: torch.dtype = torch.float32  # type of large activations, if there is a choice
    starts_at_mean: bool = True  # whether a search can set out from z = 0
    pose_layer: int | None = None  # whose input is the place of the picture, if any
    latent_shape: tuple[int, ...]

    @property
    def img_size(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        return (self.channels, self.resolution, self.resolution)

    @property
    def dtype(self) -> torch.dtype:
        """The type of its weights."""
        tensors = (*self.parameters(), *self.buffers())
        return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)

    @abstractmethod
    def sample(self, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
        r"""Draw whitened latent codes (B, \*latent_shape) of the prior, one per seed.

        Args:
            seeds: one integer per image; an image depends on its own seed only.
            truncation: factor ψ in [0, 1] that pulls each code towards the mean; 0 gives the mean.
        """

    @abstractmethod
    def start(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> LayerState:
        """Return the state before layer 0 for codes ``z``; ``noise`` replaces the fixed maps."""

    @abstractmethod
    def layer(self, index: int, state: LayerState) -> LayerState:
        """Return the state after layer ``index``, given the state before it."""

    def run(self, state: LayerState, start: int, stop: int) -> LayerState:
        """Pass a state through layers ``start`` to ``stop - 1``: ``G_stop ∘ … ∘ G_(start+1)``.

        Raises:
            ValueError: unless ``0 <= start <= stop <= num_layers``.
        """
        if not 0 <= start <= stop <= self.num_layers:
            raise ValueError(
                f"layers {start} to {stop} are not within 0 to {self.num_layers} of {self.name}"
            )
        for index in range(start, stop):
            state = self.layer(index, state)
        return state

    def image(self, state: LayerState) -> Tensor:
        """Return the image (B, 3, H, W) of a state after the last layer; [0, 1] up to overshoot."""
        final = state.h if state.rgb is None else state.rgb
        assert final is not None
        return (final + 1) / 2

    def forward(self, z: Tensor) -> Tensor:
        """Return ``G(z)`` as an image (B, 3, H, W), clipped to [0, 1]."""
        return self.image(self.run(self.start(z), 0, self.num_layers)).clamp(0, 1)

    def statistics(self, layer: int) -> LayerStatistics:
        """Return the statistics of the input of ``layer`` (1 to num_layers - 1).

        They are measured once, on 16 samples of the prior with fixed seeds, and kept.

        Raises:
            ValueError: if the layer has no input activation.
        """
        if not 1 <= layer < self.num_layers:
            raise ValueError(f"layer {layer} of {self.name} has no input activation to measure")
        if layer not in self._statistics:
            self._statistics = measure_statistics(self)
        return self._statistics[layer]

    def keep_statistics(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the entries ``statistics.{layer}`` of a weights file, so that none is measured."""
        for key, value in tensors.items():
            if key.startswith("statistics."):
                self._statistics[int(key.split(".")[1])] = LayerStatistics(std=value)

    def __init__(self) -> None:
        super().__init__()
        self._statistics: dict[int, LayerStatistics] = {}


def gaussian_by_seed(seeds: Sequence[int], shape: tuple[int, ...]) -> Tensor:
    r"""Draw standard Gaussians (B, \*shape), row i from seed i alone (CPU, float32).

    >>> pair = gaussian_by_seed([3, 4], (2, 2))
    >>> torch.equal(pair[1:], gaussian_by_seed([4], (2, 2)))
    True
    """
    rows = [torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return torch.stack(rows)


@torch.no_grad()
def draw_truths(generator: Generator, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
    """Draw images to measure and to recover, one per seed, (B, 3, H, W) in [0, 1].

    Image i is ``G(sample(2^31 + seeds[i]))``: a method with a random start sets out from the code
    that it draws with its own seed, and would find a truth of that same code without searching.

    Args:
        generator: generator to draw from.
        seeds: one integer per image, at least 0 and below 2^31; an image depends on its own alone.
        truncation: factor as in `Generator.sample`.

    Raises:
        InputError: if a seed is out of range.

    >>> from interlayer.generators import ToyGenerator
    >>> x = draw_truths(ToyGenerator(), [0, 7])
    >>> x.shape, torch.equal(x[1:], draw_truths(ToyGenerator(), [7]))
    (torch.Size([2, 3, 16, 16]), True)
    """
    for seed in seeds:
        if not 0 <= seed < _FIRST_TRUTH:
            raise InputError(f"draw images with seeds from 0 to {_FIRST_TRUTH - 1}, not {seed}")
    codes = [generator.sample([_FIRST_TRUTH + seed], truncation) for seed in seeds]
    return torch.cat([generator(z) for z in codes])  # rounding depends on the size of a batch


def statistics_tensors(generator: Generator) -> dict[str, Tensor]:
    """Measure every layer, and return the entries ``statistics.{layer}`` of a weights file."""
    found = measure_statistics(generator)
    return {f"statistics.{layer}": statistics.std for layer, statistics in found.items()}


@torch.no_grad()
def measure_statistics(generator: Generator, samples: int = 16) -> dict[int, LayerStatistics]:
    """Measure every layer's input over ``samples`` draws of the prior (seeds 0, 1, …)."""
    total: dict[int, Tensor] = {}
    squares: dict[int, Tensor] = {}
    for seed in range(samples):
        state = generator.start(generator.sample([seed]))
        for layer in range(1, generator.num_layers):
            state = generator.layer(layer - 1, state)
            assert state.h is not None
            h = state.h[0].double()
            total[layer] = total.get(layer, 0) + h
            squares[layer] = squares.get(layer, 0) + h.square()
    statistics = {}
    for layer, mean in total.items():
        variance = (squares[layer] - mean.square() / samples).clamp_min(0) / (samples - 1)
        std = variance.reshape(len(variance), -1).mean(1).sqrt().float().clamp_min(1e-6)
        statistics[layer] = LayerStatistics(std=std.reshape(-1, *[1] * (variance.ndim - 1)))
    return statistics
