"""The one loop that runs any method on any problem."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import torch
from deepinv.models import Reconstructor
from deepinv.physics import LinearPhysics, Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.generators import Generator, LayerState
from interlayer.generators.base import gaussian_by_seed
from interlayer.memory import keep_freed_memory, return_freed_memory
from interlayer.methods import Method, Stage
from interlayer.objective import Fidelity, Objective, natural_fidelity, perceptual_term
from interlayer.optimiser import BatchAdam, Langevin
from interlayer.refine import can_refine, refine, ticks
from interlayer.schedules import cosine_ramp
from interlayer.search import SearchSpace
from interlayer.selection import Best, split_measurements

STEPS_PER_TICK = 9  # how many steps of a generator take the time of a step in the image


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


def iterate(
    physics: Physics,
    y: Tensor,
    generator: Generator,
    method: Method,
    *,
    seed: int | Sequence[int] = 0,
    holdout: float = 0.1,
    fidelity: Fidelity | None = None,
    start: Solution | None = None,
) -> Iterator[State]:
    """Run ``method`` on ``y = physics(x)``, one `State` per step; see `solve` for the arguments."""
    keep_freed_memory()
    seeds = (seed,) * len(y) if isinstance(seed, int) else tuple(seed)
    check_problem(physics, y, generator, method, seeds)
    size = (generator.channels, generator.resolution, generator.resolution)
    like = y.new_zeros(len(y), *size, dtype=torch.float32)
    split = split_measurements(physics, y, like, holdout, seeds)
    perceives = any(stage.losses.perceptual for stage in method.stages)
    objective = Objective(
        y,
        split,
        fidelity or natural_fidelity(physics),
        perceptual_term(physics, y, method.multiscale) if perceives else None,
    )

    space = starting_space(generator, method, seeds, start, like)
    finishes = method.finish != "nothing" and fidelity is None and can_refine(physics)
    in_image = ticks(physics, y, method.finish == "stack") if finishes else 0
    run = _Run(seeds, method, work=method.steps + STEPS_PER_TICK * in_image)
    steps = _steps(physics, method, objective, space, run)
    if not finishes:
        return steps
    image = Stage(generator.num_layers, in_image)
    return chain(steps, _refine(physics, method, objective, image, run))


def _refine(
    physics: Physics, method: Method, objective: Objective, stage: Stage, run: _Run
) -> Iterator[State]:
    """The last layer is the image: see `interlayer.refine`."""
    assert isinstance(physics, LinearPhysics)
    estimates = list({record.stage.layer: record.x_hat for record in run.records}.values())
    stack = method.finish == "stack"
    steps = refine(
        physics,
        objective.y,
        objective.split,
        estimates if stack else estimates[-1:],
        classical=stack,
    )
    for tick, (label, x) in enumerate(steps):
        with torch.no_grad():
            predicted = physics.A(x)
            loss, held_out = objective.fit(predicted, x), objective.held_out(predicted, x)
        run.refine(stage, tick + 1, x, loss, held_out)
        done = min(1.0, (method.steps + STEPS_PER_TICK * (tick + 1)) / run.work)
        return_freed_memory()
        yield State(stage, len(method.stages), tick, loss, held_out, x, done, label, run.solution)


def _steps(
    physics: Physics,
    method: Method,
    objective: Objective,
    space: SearchSpace,
    run: _Run,
) -> Iterator[State]:
    # Algorithm 1 of arXiv 2102.07364
    langevin = Langevin(run.seeds)
    for number, stage in enumerate(method.stages):
        goal = space if stage.back else None
        space = space.at(stage)
        adam = BatchAdam(list(space.variables.values()))
        run.begin(space, adam)
        for step in range(stage.steps):
            with torch.enable_grad():
                # L(A G_(p+1..L)(h), y) and its gradient
                x = space.image()
                predicted = physics.A(x)
                loss = objective.fit(predicted, x)
                if goal is None:
                    total = objective(stage.losses, loss, predicted, x, space.z, space.u)
                else:
                    total = space.distance(goal)
                # What enters before this stage's layer is not in the graph: its gradient is 0.
                gradients = torch.autograd.grad(total.sum(), adam.variables, materialize_grads=True)
            x = x.detach()
            held_out = objective.held_out(predicted.detach(), x)
            loss, total, x = loss.detach(), total.detach(), x.clamp(0, 1)
            run.record(x, loss, held_out, total)
            done, label = len(run.losses) / run.work, f"layer {stage.layer}"
            yield State(stage, number, step, loss, held_out, x, done, label, run.solution)
            lr = stage.lr * cosine_ramp(step, stage.steps)
            adam.step(total, gradients, lr)
            if stage.temperature:
                langevin.stir(adam.variables, math.sqrt(2 * lr * stage.temperature))
            # h <- c + Π_(B_1(r))(h - c)
            space.project()
        run.end()


def solve(
    physics: Physics,
    y: Tensor,
    generator: Generator,
    method: Method,
    *,
    seed: int | Sequence[int] = 0,
    holdout: float = 0.1,
    fidelity: Fidelity | None = None,
    start: Solution | None = None,
) -> Solution:
    r"""Recover images from measurements ``y = A(x) + noise`` with a generator as the prior.

    Each stage p of the method minimises the measurement error ``L(A(G_(p..L)(h)), y)``, the mean
    square unless the operator's noise or sensor calls for another, over its layer's input h within
    ``||(h - c) / std||_1 <= radius * numel``, ``c`` being what the stages before reached, by
    projected Adam steps. The estimate is the step with the least error on held-out measurements.

    Args:
        physics: any deepinv forward operator on (B, 3, H, W) images of the generator's size whose
            ``A`` can be differentiated.
        y: measurements (B, ...).
        generator: the prior.
        method: e.g. `ilo()`.
        seed: one for every image, or one per image. An image's result depends on its own seed and
            measurements, not on the batch.
        holdout: fraction of the measurements held out, in [0, 1); with 0 the step with the least
            measurement error is returned.
        fidelity: a measurement error ``(predicted, y, weight, x) -> (B,)`` of your own, predicted
            being ``physics.A(x)``; weights are at least 0, and entries of weight 0 must not count.
        start: where to begin: at its latent code, and for stages from its layer on at its layer's
            input, as the frames of a film do. By default the generator's mean, or a random code of
            the seed where the method or the generator asks for one.

    Raises:
        InputError: if ``y`` holds NaN or infinity or lacks the shape that ``physics`` gives, or the
            method has a layer that the generator lacks.

    Reference: Daras et al., Intermediate Layer Optimization, ICML 2021, arXiv 2102.07364.

    >>> from interlayer import ToyGenerator, ilo, make_physics, solve
    >>> G = ToyGenerator()
    >>> x = G(G.sample([7]))
    >>> physics = make_physics("inpaint:0.5", x.shape[1:])
    >>> solution = solve(physics, physics(x), G, ilo(steps=40, layers=(0, 2)))
    >>> solution.x_hat.shape
    torch.Size([1, 3, 16, 16])
    """
    steps = iterate(
        physics,
        y,
        generator,
        method,
        seed=seed,
        holdout=holdout,
        fidelity=fidelity,
        start=start,
    )
    return deque(steps, maxlen=1)[0].solution()


def starting_space(
    generator: Generator,
    method: Method,
    seeds: Sequence[int],
    start: Solution | None,
    like: Tensor,
) -> SearchSpace:
    """The point to begin at: another solution's, else the mean, or random if the method asks."""
    if start is not None:
        z = start.z.to(like)
        if len(z) != len(seeds) or z.shape[1:] != generator.latent_shape:
            raise InputError(
                f"the solution to start from has latent codes {tuple(z.shape)}, but "
                f"{generator.name} needs {(len(seeds), *generator.latent_shape)}"
            )
    elif method.random_start or not generator.starts_at_mean:
        z = gaussian_by_seed(seeds, generator.latent_shape).to(like)
    else:
        z = like.new_zeros(len(seeds), *generator.latent_shape)
    layer, centre = 0, LayerState()
    if start is not None and start.h is not None and start.layer <= method.stages[0].layer:
        layer = start.layer
        rgb = None if start.rgb is None else start.rgb.to(like)
        centre = replace(generator.start(z), h=start.h.to(like), rgb=rgb)
    noise = tuple(n.expand(len(seeds), *n.shape[1:]) for n in generator.start(z).noise)
    return SearchSpace(generator, Stage(layer, steps=1), z, noise, centre)


@torch.no_grad()
def check_problem(
    physics: Physics, y: Tensor, generator: Generator, method: Method, seeds: Sequence[int]
) -> None:
    """Refuse what cannot be solved, in one sentence."""
    if not y.isfinite().all():
        raise InputError("the measurements hold NaN or infinite values; remove or mask them first")
    if len(seeds) != len(y):
        raise InputError(f"{len(seeds)} seeds were given for {len(y)} images; give one for each")
    deepest = method.stages[-1].layer
    if deepest >= generator.num_layers:
        raise InputError(
            f"{generator.name} has layers 0 to {generator.num_layers - 1}, so {method.name} "
            f"cannot optimise layer {deepest}; give method.within({generator.num_layers})"
        )
    size = (1, generator.channels, generator.resolution, generator.resolution)
    try:
        expected = physics.A(y.new_zeros(size, dtype=torch.float32)).shape[1:]
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the operator does not take {size[2]}x{size[3]} images, which {generator.name} makes: "
            f"{error}"
        ) from error
    if y.shape[1:] != expected:
        raise InputError(
            f"the measurements have shape {tuple(y.shape[1:])} per image, but the operator gives "
            f"{tuple(expected)}"
        )


class GeneratorReconstructor(Reconstructor):
    """`solve` as a deepinv model: ``x_hat = model(y, physics)``."""

    def __init__(self, generator: Generator, method: Method, seed: int, holdout: float) -> None:
        super().__init__()
        self.generator, self.method, self.seed, self.holdout = generator, method, seed, holdout

    def forward(self, y: Tensor, physics: Physics, **kwargs) -> Tensor:
        """Estimates (B, 3, H, W) in [0, 1]."""
        solution = solve(
            physics, y, self.generator, self.method, seed=self.seed, holdout=self.holdout
        )
        return solution.x_hat


def as_reconstructor(
    generator: Generator, method: Method, *, seed: int = 0, holdout: float = 0.1
) -> Reconstructor:
    """A method and its generator as a `deepinv.models.Reconstructor`, e.g. for `deepinv.test`."""
    return GeneratorReconstructor(generator, method, seed, holdout)


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
