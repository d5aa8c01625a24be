"""What a run returns: its state at a step, what each stage did, and the solution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from interlayer.methods.stages import Stage


@dataclass(frozen=True)
class StageRecord:
    """What one stage did; every tensor has one entry per image.

    Attributes:
        stage: its settings.
        steps: how many of its steps were run.
        x_hat: its best estimate (B, 3, H, W), in [0, 1].
        loss: error of the fitted measurements at that estimate.
        holdout_loss: the same over the held-out measurements; NaN where none were held out.
        deviation: ``mean |h - c| / std`` of the layer's input at that estimate, 0 at layer 0; of
            the image itself, in its own units, after the last layer.
        undone: number of steps that diverged and were undone.
        seconds: wall-clock time of the stage.
    """

    stage: Stage
    steps: int
    x_hat: Tensor
    loss: Tensor
    holdout_loss: Tensor
    deviation: Tensor
    undone: Tensor
    seconds: float


@dataclass(frozen=True)
class Solution:
    """What a method found; every tensor has the batch first.

    Attributes:
        x_hat: estimate (B, 3, H, W) in [0, 1].
        z: its latent code.
        h: the input of the last stage's layer that gives the estimate, or where the method went on
            in the image, the generator's part of it; ``None`` at layer 0.
        rgb: the running image that goes with ``h`` in generators with an RGB skip, else ``None``.
        layer: that layer.
        losses: (steps, 2, B) fitted and held-out error of every step that was run.
        stages: one record per stage, the last one cut short if the run was.
        seconds: wall-clock time.
        seeds: one per image.
        samples: where several solutions of one image were asked for, these, (N, 3, H, W); then
            ``x_hat`` is their mean and the rest tells of the last one.
    """

    x_hat: Tensor
    z: Tensor
    h: Tensor | None
    rgb: Tensor | None
    layer: int
    losses: Tensor
    stages: tuple[StageRecord, ...]
    seconds: float
    seeds: tuple[int, ...]
    samples: Tensor | None = None

    @property
    def std(self) -> Tensor | None:
        """Standard deviation (1, 3, H, W) of the samples, ``None`` where there are not two."""
        if self.samples is None or len(self.samples) < 2:
            return None
        return self.samples.std(0, keepdim=True)

    @classmethod
    def at(
        cls,
        x_hat: Tensor,
        z: Tensor,
        h: Tensor | None = None,
        rgb: Tensor | None = None,
        layer: int = 0,
        seeds: Sequence[int] = (),
    ) -> Solution:
        """A point to start from that no run of this process has found."""
        none = x_hat.new_zeros(0, 2, len(x_hat))
        return cls(x_hat, z, h, rgb, layer, losses=none, stages=(), seconds=0.0, seeds=tuple(seeds))


@dataclass(frozen=True)
class State:
    """One step of `iterate`; do not change its tensors.

    Attributes:
        stage: settings of the stage under way.
        stage_number: its place in the method, from 0.
        step: within the stage, from 0.
        loss: error (B,) of the fitted measurements at ``x``.
        holdout_loss: the same over the held-out ones; NaN where none were held out.
        x: the image (B, 3, H, W) that this step looked at, clipped to [0, 1].
        progress: how much of the work is done, in [0, 1].
        label: what is going on, in a few words.
    """

    stage: Stage
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
