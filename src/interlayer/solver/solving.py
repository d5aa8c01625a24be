"""The one loop that runs any method on any problem."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from deepinv.physics import LinearPhysics, Physics
from torch import Tensor

from interlayer.generators import Generator
from interlayer.memory import keep_freed_memory, return_freed_memory
from interlayer.methods.stages import Method, Stage
from interlayer.problem.facts import can_refine
from interlayer.problem.holdout import split_measurements
from interlayer.solver.adam import BatchAdam, Langevin
from interlayer.solver.image_stage import refine, ticks
from interlayer.solver.objective import Fidelity, Objective, natural_fidelity, perceptual_term
from interlayer.solver.problem_check import check_problem, starting_space
from interlayer.solver.records import Solution, State
from interlayer.solver.run import _Run
from interlayer.solver.schedules import cosine_ramp
from interlayer.solver.search_space import SearchSpace

STEPS_PER_TICK = 9  # how many steps of a generator take the time of a step in the image


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
    """The last layer is the image: see `interlayer.solver.image_stage`."""
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
