"""What has happened so far in a run."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from interlayer.memory import return_freed_memory
from interlayer.methods.stages import Method, Stage
from interlayer.problem.holdout import Best
from interlayer.solver.adam import BatchAdam
from interlayer.solver.records import Solution, StageRecord
from interlayer.solver.search_space import SearchSpace


class _Run:
    """What has happened so far."""

    def __init__(self, seeds: tuple[int, ...], method: Method, work: int) -> None:
        self.seeds, self.method, self.work = seeds, method, work
        self.image: StageRecord | None = None
        self.started = time.perf_counter()
        self.losses: list[Tensor] = []
        self.records: list[StageRecord] = []
        self.bests: dict[int, Best] = {}

    def begin(self, space: SearchSpace, adam: BatchAdam) -> None:
        """A layer seen before keeps its best, so that a further round can only improve on it."""
        self.space, self.adam, layer = space, adam, space.stage.layer
        seen_again = sum(stage.layer == layer for stage in self.method.stages) > 1
        kept = seen_again and not space.stage.back
        self.best = self.bests.setdefault(layer, Best()) if kept else Best()
        self.stage_started, self.steps_before = time.perf_counter(), len(self.losses)

    def record(self, x: Tensor, loss: Tensor, held_out: Tensor, total: Tensor) -> None:
        self.losses.append(torch.stack([loss, held_out]))
        score = total if self.space.stage.back else torch.where(held_out.isnan(), loss, held_out)
        self.best.offer(score, x=x, loss=loss, held_out=held_out, **self.space.point)

    def end(self) -> None:
        """Close the stage at its best point."""
        self.records.append(self._record())
        self.space.move_to({name: self.best[name] for name in self.space.point})
        del self.adam
        return_freed_memory()

    def refine(self, stage: Stage, ticks: int, x: Tensor, loss: Tensor, held_out: Tensor) -> None:
        if self.image is None:
            self.stage_started = time.perf_counter()
        self.image = StageRecord(
            stage=stage,
            steps=ticks,
            x_hat=x,
            loss=loss,
            holdout_loss=held_out,
            deviation=(x - self.best["x"]).abs().flatten(1).mean(1),
            undone=torch.zeros_like(loss, dtype=torch.int64),
            seconds=time.perf_counter() - self.stage_started,
        )

    def _record(self) -> StageRecord:
        space, best = self.space, self.best
        return StageRecord(
            stage=space.stage,
            steps=len(self.losses) - self.steps_before,
            x_hat=best["x"].clone(),
            loss=best["loss"].clone(),
            holdout_loss=best["held_out"].clone(),
            deviation=space.deviation(None if space.u is None else best["u"]),
            undone=self.adam.undone.clone(),
            seconds=time.perf_counter() - self.stage_started,
        )

    def solution(self) -> Solution:
        stages = tuple(self.records)
        if len(self.losses) > self.steps_before and sum(s.steps for s in stages) < len(self.losses):
            stages = (*stages, self._record())
        space, best, h, rgb = self.space, self.best, None, None
        if space.u is not None:
            h = best["centre"] + space.std * best["u"]
            rgb = None if space.centre.rgb is None else best["rgb"].clone()
        x_hat = best["x"].clone()
        if self.image is not None:
            stages, x_hat = (*stages, self.image), self.image.x_hat
        return Solution(
            x_hat=x_hat,
            z=best["z"].clone(),
            h=h,
            rgb=rgb,
            layer=space.stage.layer,
            losses=torch.stack(self.losses),
            stages=stages,
            seconds=time.perf_counter() - self.started,
            seeds=self.seeds,
        )
