"""Recording of a run: one recorder, and one immutable record per stage."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from interlayer.memory import return_freed_memory
from interlayer.methods.stages import Stage
from interlayer.problem.holdout import Best
from interlayer.solver.adam import BatchAdam
from interlayer.solver.records import GeneratorPoint, Solution, StageRecord
from interlayer.solver.search_space import SearchSpace


@dataclass(frozen=True, eq=False)
class Look:
    """Evaluation of the current variables, before a step moves them.

    Attributes:
        x: image (B, 3, H, W) at the current variables, clipped to [0, 1].
        loss: error (B,) of the fitted measurements.
        held_out: error (B,) of the held-out measurements; NaN where there are none.
        total: objective (B,) that is minimised.
        gradients: the derivatives of ``total``, one for each variable.
    """

    x: Tensor
    loss: Tensor
    held_out: Tensor
    total: Tensor
    gradients: tuple[Tensor, ...]


class StageLog:
    """Log of a stage under way, with the best that it has found.

    Args:
        space: the set that it searches, with its current point.
        adam: optimiser that moves the variables.
        best: the best so far, perhaps of an earlier stage at the same layer.
    """

    def __init__(self, space: SearchSpace, adam: BatchAdam, best: Best) -> None:
        self.space, self.adam, self.best = space, adam, best
        self.losses: list[Tensor] = []
        self.started = time.perf_counter()

    def note(self, look: Look) -> None:
        """Take note of a step."""
        loss, held_out = look.loss, look.held_out
        self.losses.append(torch.stack([loss, held_out]))
        judged = torch.where(held_out.isnan(), loss, held_out)
        score = look.total if self.space.stage.ends_at_objective else judged
        self.best.offer(score, x=look.x, loss=loss, held_out=held_out, **self.space.point)

    def record(self) -> StageRecord:
        """The stage as it stands."""
        space, best = self.space, self.best
        return StageRecord(
            stage=space.stage,
            layer=space.stage.layer,
            x_hat=best["x"].clone(),
            loss=best["loss"].clone(),
            holdout_loss=best["held_out"].clone(),
            deviation=space.deviation(None if space.u is None else best["u"]),
            undone=self.adam.undone.clone(),
            seconds=time.perf_counter() - self.started,
            losses=torch.stack(self.losses),
        )

    def point(self) -> GeneratorPoint:
        """The best point found."""
        space, best, h, rgb = self.space, self.best, None, None
        if space.u is not None:
            h = best["centre"] + space.std * best["u"]
            rgb = None if space.centre.rgb is None else best["rgb"].clone()
        return GeneratorPoint(best["z"].clone(), h, rgb, space.stage.layer)


class Recorder:
    """The record of a run, stage by stage.

    Args:
        seeds: one seed per image.
        stages: stages that will be run; a layer that comes again keeps its best, so that a further
            round can only improve on it.
    """

    def __init__(self, seeds: tuple[int, ...], stages: tuple[Stage, ...]) -> None:
        self.seeds = seeds
        self.layers = [stage.layer for stage in stages]
        self.closed: tuple[StageRecord, ...] = ()
        self.log: StageLog | None = None
        self.image: StageRecord | None = None
        self.started = time.perf_counter()
        self._bests: dict[int, Best] = {}
        self._point: GeneratorPoint | None = None
        self._closed_at = self.started

    def open(self, space: SearchSpace, adam: BatchAdam) -> StageLog:
        """Begin a stage."""
        layer = space.stage.layer
        keeps = self.layers.count(layer) > 1 and not space.stage.goes_back
        best = self._bests.setdefault(layer, Best()) if keeps else Best()
        self.log = StageLog(space, adam, best)
        return self.log

    def close(self) -> None:
        """End the stage at its best point."""
        log = self.log
        assert log is not None
        self.closed, self._point, self.log = (*self.closed, log.record()), log.point(), None
        self._closed_at = time.perf_counter()
        log.space.move_to({name: log.best[name] for name in log.space.point})
        return_freed_memory()

    def note_image(self, layer: int, x: Tensor, loss: Tensor, held_out: Tensor) -> None:
        """Take a step of the image stage, which counts as the layer after the last."""
        before = self.image
        losses = torch.stack([loss, held_out])[None]
        self.image = StageRecord(
            stage=None,
            layer=layer,
            x_hat=x,
            loss=loss,
            holdout_loss=held_out,
            deviation=(x - self.closed[-1].x_hat).abs().flatten(1).mean(1),
            undone=torch.zeros_like(loss, dtype=torch.int64),
            seconds=time.perf_counter() - self._closed_at,
            losses=losses if before is None else torch.cat([before.losses, losses]),
        )

    def solution(self) -> Solution:
        """The best so far, at any step."""
        stages, point = self.closed, self._point
        if self.log is not None and self.log.losses:
            stages, point = (*stages, self.log.record()), self.log.point()
        if self.image is not None:
            stages = (*stages, self.image)
        return Solution(
            x_hat=stages[-1].x_hat.clone(),
            point=point,
            stages=stages,
            seconds=time.perf_counter() - self.started,
            seeds=self.seeds,
        )
