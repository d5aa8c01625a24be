"""Records of a run: its state at a step, the result of each stage, and the solution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.generators.base import LayerState
from interlayer.methods.stages import Stage


@dataclass(frozen=True, eq=False, repr=False)
class GeneratorPoint:
    """A point in a generator, which gives an image and from which a search can start.

    Attributes:
        z: latent codes (B, ...).
        h: input of ``layer`` (B, ...); ``None`` at layer 0.
        rgb: the running image (B, 3, H, W) that goes with ``h`` in generators with an RGB skip,
            else ``None``.
        layer: the layer that ``h`` enters.
    """

    z: Tensor
    h: Tensor | None = None
    rgb: Tensor | None = None
    layer: int = 0

    def state(self, generator: Generator) -> LayerState:
        """The generator's state before ``layer``."""
        begun = generator.start(self.z)
        if self.h is None:
            return begun
        return LayerState(h=self.h, ws=begun.ws, noise=begun.noise, rgb=self.rgb)

    def image(self, generator: Generator) -> Tensor:
        """The image (B, 3, H, W) in [0, 1] that the generator makes of it."""
        last = generator.run(self.state(generator), self.layer, generator.num_layers)
        return generator.image(last).clamp(0, 1)

    def __repr__(self) -> str:
        return f"GeneratorPoint(z={_shape(self.z)}, layer={self.layer}, h={_shape(self.h)})"


@dataclass(frozen=True)
class Settings:
    """Settings of a run, whatever the method and the problem.

    Attributes:
        seed: seed of everything random; one for every image, or one per image. An image's result
            depends on its own seed and measurements, not on the batch.
        holdout: fraction of the measurements held out, in [0, 1); with 0 the step with the least
            measurement error is returned.
        start: starting point: its latent code, and for stages from its layer on its layer's input,
            as for the frames of a film. By default the generator's mean, or a random code of the
            seed where the method or the generator asks for one.

    Raises:
        InputError: if the fraction is out of range.
    """

    seed: int | Sequence[int] = 0
    holdout: float = 0.1
    start: GeneratorPoint | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.holdout < 1:
            raise InputError(
                f"the held-out fraction must be at least 0 and below 1, not {self.holdout}"
            )

    def seeds(self, batch: int) -> tuple[int, ...]:
        """One seed per image.

        Raises:
            InputError: if there are several seeds, but not one for each image.

        >>> Settings(seed=3).seeds(2)
        (3, 3)
        """
        seeds = (self.seed,) * batch if isinstance(self.seed, int) else tuple(self.seed)
        if len(seeds) != batch:
            raise InputError(f"{len(seeds)} seeds were given for {batch} images; give one for each")
        return seeds


DEFAULT_SETTINGS = Settings()


@dataclass(frozen=True, eq=False, repr=False)
class StageRecord:
    """The result of one stage; every tensor has one entry per image.

    Attributes:
        stage: its settings; ``None`` for the stage in the image itself.
        layer: layer whose input moved; the number of layers for the image itself.
        x_hat: its best estimate (B, 3, H, W), in [0, 1].
        loss: error of the fitted measurements at that estimate.
        holdout_loss: error of the held-out measurements there; NaN where none were held out.
        deviation: size ``mean |h - c| / std`` for the layer's input there, 0 at layer 0; for the
            image itself, in its own units, after the last layer.
        undone: number of steps that diverged and were undone.
        seconds: wall-clock time of the stage.
        losses: fitted and held-out error (steps, 2, B) of every step that was run.
    """

    stage: Stage | None
    layer: int
    x_hat: Tensor
    loss: Tensor
    holdout_loss: Tensor
    deviation: Tensor
    undone: Tensor
    seconds: float
    losses: Tensor

    @property
    def steps(self) -> int:
        """The number of steps that were run."""
        return len(self.losses)

    def __repr__(self) -> str:
        loss, held_out = self.loss.mean().item(), self.holdout_loss.mean().item()
        return (
            f"StageRecord(layer {self.layer}, {self.steps} steps, loss {loss:.3g}, "
            f"held out {held_out:.3g}, {self.seconds:.1f} s)"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """Several solutions of one problem, whose mean is the estimate.

    Attributes:
        images: solutions (N, 3, H, W), in [0, 1].
    """

    images: Tensor

    @property
    def mean(self) -> Tensor:
        """Mean of the samples (1, 3, H, W)."""
        return self.images.mean(0, keepdim=True)

    @property
    def std(self) -> Tensor | None:
        """Standard deviation of the samples (1, 3, H, W); ``None`` for fewer than two."""
        return self.images.std(0, keepdim=True) if len(self.images) > 1 else None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Samples({len(self)} of {tuple(self.images.shape[1:])})"


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """Solution of a problem by a method; every tensor has the batch first.

    Attributes:
        x_hat: estimate (B, 3, H, W) in [0, 1].
        point: the point in the generator that gives it, or that gives the generator's part of it
            where the method went on in the image; ``None`` for methods without a generator.
        stages: one record per stage, the last one cut short if the run was.
        seconds: wall-clock time.
        seeds: one seed per image; empty for methods without anything random.
        samples: the solutions whose mean is the estimate, where several were asked for; the other
            fields then describe the last one.
    """

    x_hat: Tensor
    point: GeneratorPoint | None
    stages: tuple[StageRecord, ...]
    seconds: float
    seeds: tuple[int, ...] = ()
    samples: Samples | None = None

    @property
    def losses(self) -> Tensor:
        """Fitted and held-out error (steps, 2, B) of every step, all stages together."""
        return torch.cat([record.losses for record in self.stages])

    @property
    def steps(self) -> int:
        """The number of steps of all stages."""
        return sum(record.steps for record in self.stages)

    def to(self, device: torch.device | str) -> Solution:
        """The same solution on another device."""
        return _moved(self, device)

    def __repr__(self) -> str:
        layers = ", ".join(str(record.layer) for record in self.stages)
        several = f", {self.samples}" if self.samples else ""
        return (
            f"Solution(x_hat={_shape(self.x_hat)}, {self.steps} steps at layers {layers}, "
            f"{self.seconds:.1f} s, seeds {self.seeds},\n  point={self.point}{several})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class State:
    """One step of `iterate`; do not change its tensors.

    Attributes:
        layer: layer whose input moves; the number of layers for the image itself.
        stage_number: the stage's place in the method, from 0.
        step: the step within the stage, from 0.
        loss: error (B,) of the fitted measurements at ``x``.
        holdout_loss: error (B,) of the held-out measurements at ``x``; NaN where none were held
            out.
        x: the image (B, 3, H, W) that this step looked at, clipped to [0, 1].
        progress: fraction of the work that is done, in [0, 1].
        label: description of the step in a few words.
    """

    layer: int
    stage_number: int
    step: int
    loss: Tensor
    holdout_loss: Tensor
    x: Tensor
    progress: float
    label: str
    _solution: Callable[[], Solution] = field(repr=False)

    def solution(self) -> Solution:
        """The best so far, chosen by held-out error; valid at any step, so a run can be stopped."""
        return self._solution()

    def __repr__(self) -> str:
        loss, held_out = self.loss.mean().item(), self.holdout_loss.mean().item()
        return (
            f"State({self.label}, step {self.step}, {self.progress:.0%} done, loss {loss:.3g}, "
            f"held out {held_out:.3g}, x={_shape(self.x)})"
        )


def _moved(thing: Any, device: torch.device | str) -> Any:
    """The thing with every tensor in its fields on a device."""
    if isinstance(thing, Tensor):
        return thing.to(device)
    if isinstance(thing, tuple):
        return tuple(_moved(part, device) for part in thing)
    if is_dataclass(thing) and not isinstance(thing, type | Stage):
        parts = {part.name: getattr(thing, part.name) for part in fields(thing)}
        return replace(thing, **{name: _moved(part, device) for name, part in parts.items()})
    return thing


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
