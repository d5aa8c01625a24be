r"""The one loop that runs any method on any problem: Algorithm 1 of arXiv 2102.07364.

    ẑ = argmin_z L(A G(z), y)                                 the latent code
    for each later layer p of the method:
        c = G_1..p(ẑ)                                         push forward what was reached
        ĥ = argmin_h L(A G_p+1..L(h), y),  h in c ⊕ B_1(r_p)  by projected gradient steps
        ẑ = argmin_z |G_1..p(z) - ĥ|²                         go back before another round

`_run_stages` is the loop over layers, `_look` evaluates one step of an argmin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain

import torch

from interlayer.generators import Generator
from interlayer.memory import return_freed_memory
from interlayer.methods.stages import Method, Stage
from interlayer.problem.fidelity import measurement_loss
from interlayer.problem.problem import Problem
from interlayer.solver.adam import BatchAdam, Langevin, cosine_ramp
from interlayer.solver.beginning import fitted, fitting, starting_space
from interlayer.solver.image_stage import ImageStage
from interlayer.solver.objective import Objective
from interlayer.solver.records import DEFAULT_SETTINGS, Settings, State
from interlayer.solver.run import Look, Recorder
from interlayer.solver.search_space import SearchSpace


def iterate(
    problem: Problem, generator: Generator, method: Method, settings: Settings = DEFAULT_SETTINGS
) -> Iterator[State]:
    """Run a method on a problem, one `State` per step.

    Args:
        problem: measurements by an operator on (B, C, H, W) images of the generator's size whose
            ``A`` can be differentiated.
        generator: the prior.
        method: stages to run, e.g. `ilo()`; layers that the generator lacks are left out.
        settings: seed, held-out fraction and starting point.

    Raises:
        InputError: as for `solve`.

    >>> from interlayer.generators import ToyGenerator
    >>> from interlayer.methods import csgm
    >>> from interlayer.problem import measure
    >>> G = ToyGenerator()
    >>> problem = measure(G(G.sample([7])), "inpaint:0.5", seed=0)
    >>> [round(state.progress, 2) for state in iterate(problem, G, csgm(steps=4))]
    [0.25, 0.5, 0.75, 1.0]
    """
    with torch.inference_mode(False):
        method, problem = fitted(method, generator), fitting(problem, generator)
        states = _begun(problem, generator, method, settings)
    return _outside_inference(states)


def _begun(
    problem: Problem, generator: Generator, method: Method, settings: Settings
) -> Iterator[State]:
    seeds = settings.seeds(len(problem))
    like = problem.y.new_zeros(len(problem), *generator.img_size, dtype=generator.dtype)
    if not problem.picture and not method.pictures_only:
        method = method.without_perceptual()
    objective = Objective.of(problem, method, problem.split(like, settings.holdout, seeds))
    space = starting_space(generator, method, seeds, settings.start, like)
    recorder = Recorder(seeds, method.stages)
    image = None
    own = problem.own_fidelity
    if method.estimators is not None and (problem.linear if own else problem.least_squares):
        image = ImageStage(problem, objective.split, method.estimators, own or measurement_loss)
    work = method.steps + (image.work if image is not None else 0)
    steps = _run_stages(objective, space, method.stages, recorder, work)
    if image is None:
        return steps
    return chain(steps, _move_image(objective, image, generator.num_layers, recorder, work))


def _outside_inference(states: Iterator[State]) -> Iterator[State]:
    """The same states, each found with gradients even where the caller is in inference mode."""
    while True:
        with torch.inference_mode(False):
            state = next(states, None)
        if state is None:
            return
        yield state


def _run_stages(
    objective: Objective,
    space: SearchSpace,
    stages: Sequence[Stage],
    recorder: Recorder,
    work: float,
) -> Iterator[State]:
    langevin, done = Langevin(recorder.seeds), 0
    for number, stage in enumerate(stages):
        reached, space = space, space.at(stage)  # c = G_1..p(ẑ)
        goal = reached if stage.goes_back else None
        adam = BatchAdam(list(space.variables.values()), stage.descent)
        log = recorder.open(space, adam)
        for step in range(stage.steps):
            look = _look(objective, space, goal)
            log.note(look)
            done += 1
            yield State(
                layer=stage.layer,
                stage_number=number,
                step=step,
                loss=look.loss,
                holdout_loss=look.held_out,
                x=look.x,
                progress=done / work,
                label=f"layer {stage.layer}",
                _solution=recorder.solution,
            )
            lr = stage.lr * cosine_ramp(step, stage.steps, stage.descent.warm_up)
            adam.step(look.total, look.gradients, lr)  # h <- h - lr ∇L
            if stage.temperature:
                langevin.stir(adam.variables, math.sqrt(2 * lr * stage.temperature))
            space.project()  # h <- c + Π_(B_1(r))(h - c)
        recorder.close()


def _look(objective: Objective, space: SearchSpace, goal: SearchSpace | None) -> Look:
    """The image at the current variables, its errors and the gradient of what is minimised."""
    with torch.enable_grad():
        x = space.image()  # G_p+1..L(h)
        predicted = objective.problem.physics.A(x)
        loss = objective.fit(predicted, x)
        total = objective.total(space, predicted, x, loss) if goal is None else space.distance(goal)
        # What enters before this stage's layer is not in the graph: its gradient is 0.
        variables = list(space.variables.values())
        gradients = torch.autograd.grad(total.sum(), variables, materialize_grads=True)
    held_out = objective.held_out(predicted.detach(), x.detach())
    return Look(x.detach().clamp(0, 1), loss.detach(), held_out, total.detach(), gradients)


def _move_image(
    objective: Objective, stage: ImageStage, layer: int, recorder: Recorder, work: float
) -> Iterator[State]:
    """Go on in the image itself, which counts as the layer after the last."""
    drawn = list({record.layer: record.x_hat for record in recorder.closed}.values())
    number, before = len(recorder.closed), work - stage.work
    for step, tick in enumerate(stage.run(drawn)):
        loss = objective.fit(tick.predicted, tick.x)
        held_out = objective.held_out(tick.predicted, tick.x)
        recorder.note_image(layer, tick.x, loss, held_out)
        return_freed_memory()
        yield State(
            layer=layer,
            stage_number=number,
            step=step,
            loss=loss,
            holdout_loss=held_out,
            x=tick.x,
            progress=min(1.0, (before + tick.done) / work),
            label=tick.label,
            _solution=recorder.solution,
        )
