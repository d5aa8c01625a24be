"""Methods as data: a list of stages over a generator's layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Losses:
    """Weights of what a stage minimises, each at least 0.

    Attributes:
        fidelity: of the measurement error in its natural form (see `losses.fidelity_for`).
        perceptual: of the distance that a network sees between the measured picture and the same
            measurement of the estimate; for measurements that are RGB pictures.
        geocross: of the geodesic cross loss of PULSE.
        latent: of ``mean z² / 2``, the Gaussian prior of the whitened latent code.
        layer: of ``mean u² / 2``, a Gaussian prior of the whitened deviation at a later layer.

    Raises:
        ValueError: if a weight is negative or all are 0.
    """

    fidelity: float = 1.0
    perceptual: float = 0.0
    geocross: float = 0.0
    latent: float = 0.0
    layer: float = 0.0

    def __post_init__(self) -> None:
        weights = (self.fidelity, self.perceptual, self.geocross, self.latent, self.layer)
        if not all(weight >= 0 for weight in weights) or not self.fidelity + self.perceptual > 0:
            raise ValueError(f"loss weights are at least 0 and one of the data's above it: {self}")


@dataclass(frozen=True)
class Stage:
    """One optimisation over the input of one layer.

    Attributes:
        layer: which layer's input moves; 0 is the latent code itself.
        steps: gradient steps, at least 1.
        lr: step size of Adam, in units of the prior's standard deviation (of the latent code, or of
            the layer's input).
        radius: of the l1 ball around what the layer before reached, per entry and in units of the
            layer's standard deviation: ``||(h - c) / std||_1 <= radius * number of entries``.
            ``None`` leaves the input free; layer 0 has no ball.
        noise: whether the generator's noise maps move too (free; they overfit soonest).
        sphere: whether the latent code stays on the sphere of radius ``sqrt(d)``.
        tied: whether all style inputs, where there are some, share one code (the space W instead
            of W+).
        temperature: of Langevin noise: every step adds ``sqrt(2 lr temperature)`` times a standard
            Gaussian to the variables.
        losses: what it minimises.
        back: whether it moves the latent code towards the layer input that the stage before
            reached, ``argmin_z ||(G_1..p(z) - h) / std||²``, instead of towards the measurements.

    Raises:
        ValueError: if a value is out of range.
    """

    layer: int
    steps: int
    lr: float = 0.1
    radius: float | None = None
    noise: bool = False
    sphere: bool = False
    tied: bool = False
    temperature: float = 0.0
    losses: Losses = Losses()
    back: bool = False

    def __post_init__(self) -> None:
        if self.layer < 0 or self.steps < 1:
            raise ValueError(f"a stage needs layer >= 0 and steps >= 1, not {self}")
        if not self.lr > 0 or (self.radius is not None and not self.radius >= 0):
            raise ValueError(f"a stage needs lr > 0 and radius >= 0, not {self}")
        if not self.temperature >= 0:
            raise ValueError(f"a stage needs temperature >= 0, not {self}")
        if self.layer == 0 and self.radius is not None:
            raise ValueError("the first layer has no layer before it to draw a ball around")
        if self.back and self.layer > 0:
            raise ValueError("a stage goes back to layer 0 only")


@dataclass(frozen=True)
class Method:
    """A named list of stages.

    Attributes:
        name: as the command line calls it.
        stages: in the order they run; layers must not decrease but where a stage goes back.
        random_start: start at a random latent code of the seed instead of the generator's mean.
        finish: what is done in the image itself after the last stage, see
            `interlayer.solver.image_stage`: "nothing", a "sparse" deviation from the estimate, or
            first to "stack" it with those of the earlier stages and of classical methods.
        multiscale: compare pictures by `interlayer.MultiScaleLoss` instead of `PerceptualLoss`.

    Raises:
        ValueError: if the layers decrease or a value is none of these.
    """

    name: str
    stages: tuple[Stage, ...]
    random_start: bool = False
    finish: Literal["nothing", "sparse", "stack"] = "nothing"
    multiscale: bool = False

    def __post_init__(self) -> None:
        if self.finish not in ("nothing", "sparse", "stack"):
            raise ValueError(f"a method finishes with nothing, sparse or stack, not {self.finish}")
        layers = [stage.layer for stage in self.stages]
        pairs = zip(self.stages, self.stages[1:], strict=False)
        if not layers or any(b.layer < a.layer and not b.back for a, b in pairs):
            raise ValueError(f"a method needs stages with non-decreasing layers, not {layers}")
        if self.stages[0].back:
            raise ValueError("the first stage has nothing to go back from")

    @property
    def steps(self) -> int:
        """Gradient steps of all stages together."""
        return sum(stage.steps for stage in self.stages)

    def within(self, num_layers: int) -> Method:
        """The same method without stages that a generator of ``num_layers`` lacks, steps kept."""
        stages = tuple(stage for stage in self.stages if stage.layer < num_layers)
        return replace(self, stages=stages).scaled(self.steps)

    def scaled(self, steps: int) -> Method:
        """The same method with ``steps`` steps in all, shared in the same proportion.

        Every stage has at least one.
        """
        shares = [max(1, round(stage.steps * steps / self.steps)) for stage in self.stages]
        shares[0] = max(1, shares[0] + steps - sum(shares))
        stages = [replace(stage, steps=n) for stage, n in zip(self.stages, shares, strict=True)]
        return replace(self, stages=tuple(stages))
