"""The approach to a problem, as the command line and the page let a user choose it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interlayer.errors import InputError
from interlayer.generators import Generator
from interlayer.methods.presets import sgilo
from interlayer.methods.stages import Method
from interlayer.problem.fidelity import LOSSES
from interlayer.problem.problem import Problem
from interlayer.recipes.learned_prior import load_prior
from interlayer.solver.by_name import named_method, reconstruct
from interlayer.solver.records import GeneratorPoint, Settings, State
from interlayer.solver.sampling import sample
from interlayer.solver.solving import iterate


@dataclass(frozen=True)
class Approach:
    """A method by its name, and the settings of its run.

    Attributes:
        method: a name that `reconstruct` knows.
        quality: "draft", "normal" or "best".
        steps: number of steps in all, instead of the quality's.
        seed: seed of everything random.
        holdout: fraction of the measurements that judge.
        loss: the measurement error, a key of `LOSSES`.
        samples: number of solutions to find; their mean is the estimate.
        start: point to go on from, with the stages from its layer on.
        prior: file of a learned prior of layers, for `sgilo`.
        unaligned: whether the place of the picture is searched too.
    """

    method: str = "auto"
    quality: str = "normal"
    steps: int | None = None
    seed: int = 0
    holdout: float = 0.1
    loss: str = "auto"
    samples: int = 1
    start: GeneratorPoint | None = None
    prior: Path | None = None
    unaligned: bool = False

    def states(self, problem: Problem, generator: Generator) -> Iterator[State]:
        """The steps of solving a problem; raises as `reconstruct` does."""
        problem = replace(problem, fidelity=LOSSES[self.loss])
        settings = Settings(self.seed, self.holdout, self.start)
        if self.start is None and self.prior is None and not self.unaligned:
            return reconstruct(
                problem,
                generator,
                self.method,
                quality=self.quality,
                steps=self.steps,
                samples=self.samples,
                settings=settings,
            )
        method = self._stages(generator)
        if self.start is not None:
            method = method.onwards(self.start.layer)
        if self.samples > 1:
            return sample(problem, generator, method, self.samples, settings)
        return iterate(problem, generator, method, settings)

    def _stages(self, generator: Generator) -> Method:
        """The method with its learned prior and the search of a place."""
        method = named_method(self.method, self.quality, self.steps)
        if self.prior is not None:
            energies = load_prior(self.prior, generator).energies()
            method = sgilo(method.steps, energies=energies)
        if self.unaligned:
            if generator.pose_layer is None:
                raise InputError(
                    f"{generator.name} draws aligned pictures only; --unaligned needs a StyleGAN3"
                )
            method = method.placing(generator.pose_layer)
        return method.within(generator.num_layers)

    def header(self, problem: Problem, generator: Generator) -> dict[str, Any]:
        """The part of ``result.json`` about the problem and how it was solved."""
        task = problem.task
        return {
            "task": None if task is None else task.text,
            "method": self.method,
            "quality": self.quality,
            "seed": self.seed,
            "generator": generator.name,
            "device": str(generator.sample([0]).device),
            "precision": str(generator.precision).removeprefix("torch."),
            "holdout": self.holdout,
            "loss": self.loss,
            "samples": self.samples,
        }
