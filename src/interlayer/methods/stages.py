"""Methods as data: a list of stages, each of which says what moves and towards what."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from interlayer.errors import InputError
from interlayer.methods.energies import Energy
from interlayer.methods.estimators import Estimator
from interlayer.problem.fidelity import Fidelity

PLACING_RATE = 0.1


@dataclass(frozen=True)
class Latent:
    """The latent code as the variable of a stage.

    Attributes:
        codes: kind of codes: "free" gives every style input, where there are some, a code of its
            own (the space W+); "tied" one for all (the space W); "sphere" keeps each on the sphere
            of radius ``sqrt(d)``.

    Raises:
        ValueError: if ``codes`` is none of these.
    """

    codes: Literal["free", "tied", "sphere"] = "free"

    def __post_init__(self) -> None:
        if self.codes not in ("free", "tied", "sphere"):
            raise ValueError(f"latent codes are free, tied or on the sphere, not {self.codes!r}")


@dataclass(frozen=True)
class Layer:
    """The input of a later layer as the variable of a stage.

    Attributes:
        index: the layer, at least 1.
        radius: size of the l1 ball around the point that the layer before reached, per entry and in
            units of the layer's standard deviation:
            ``||(h - c) / std||_1 <= radius * number of entries``. ``None`` leaves the input free.

    Raises:
        ValueError: if a value is out of range.
    """

    index: int
    radius: float | None = None

    def __post_init__(self) -> None:
        if self.index < 1:
            raise ValueError(f"layer {self.index} has no input to move; move the latent code")
        if self.radius is not None and not self.radius >= 0:
            raise ValueError(f"the radius of an l1 ball must be at least 0, not {self.radius}")


@dataclass(frozen=True)
class Losses:
    """The measurements as the goal of a stage: weights of its terms, each at least 0.

    Attributes:
        fidelity: weight of the measurement error.
        perceptual: weight of the perceptual distance between the measured picture and the same
            measurement of the estimate; for measurements that are RGB pictures.
        geocross: weight of the geodesic cross loss of PULSE.
        latent: weight of ``mean z² / 2``, the Gaussian prior of the whitened latent code.
        layer: weight of ``mean u² / 2``, a Gaussian prior of the whitened deviation at a later
            layer.
        latent_energy: energy of the whitened latent code in place of ``mean z² / 2``, see
            `interlayer.methods.energies`.
        layer_energy: energy of the layer's input in place of ``mean u² / 2``.
        posterior: whether the weights of the priors are multiplied by the number of entries of a
            latent code over that of the fitted measurements, so that the objective is proportional
            to a negative log-posterior; a stage of the latent code then ends at its lowest
            objective, not where held-out measurements, of which there may be one or two, would.

    Raises:
        ValueError: if a weight is negative or fidelity and perceptual are both 0.
    """

    fidelity: float = 1.0
    perceptual: float = 0.0
    geocross: float = 0.0
    latent: float = 0.0
    layer: float = 0.0
    latent_energy: Energy | None = field(default=None, repr=False)
    layer_energy: Energy | None = field(default=None, repr=False)
    posterior: bool = False

    def __post_init__(self) -> None:
        weights = (self.fidelity, self.perceptual, self.geocross, self.latent, self.layer)
        if not all(weight >= 0 for weight in weights) or not self.fidelity + self.perceptual > 0:
            raise ValueError(f"loss weights are at least 0 and one of the data's above it: {self}")


@dataclass(frozen=True)
class Reached:
    """The layer input that the stage before reached, as the goal for the latent code.

    ``argmin_z ||(G_1..p(z) - h) / std||²``: the step back of Algorithm 1.
    """


@dataclass(frozen=True)
class Descent:
    """How a stage moves its variables: the settings of Adam besides the step size.

    Attributes:
        momentum: decay of the mean gradient, Adam's β₁, in [0, 1).
        warm_up: fraction of the steps over which the step size rises, in (0, 1].
        damping: what is added to the root mean square of each entry's gradient, as a multiple of
            the one over all entries. Adam has next to none, so that entries which hardly matter
            move as far as all others, and what they bring is noise; a step is about
            ``1 + damping`` times smaller.

    Raises:
        ValueError: if a value is out of range.
    """

    momentum: float = 0.9
    warm_up: float = 0.05
    damping: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.momentum < 1 and 0 < self.warm_up <= 1 and self.damping >= 0):
            raise ValueError(
                "a descent needs momentum in [0, 1), warm_up in (0, 1] and damping >= 0, not "
                f"{self}"
            )


ADAM = Descent()


@dataclass(frozen=True)
class Stage:
    """One optimisation: what moves, by how many steps, towards what.

    Attributes:
        moves: variable of the stage, `Latent` or `Layer`.
        steps: number of gradient steps, at least 1.
        lr: step size of Adam, in units of the prior's standard deviation (of the latent code, or of
            the layer's input).
        towards: goal of the stage, `Losses` of the measurements or the layer input `Reached`
            before.
        temperature: temperature of Langevin noise: every step adds ``sqrt(2 lr temperature)`` times
            a standard Gaussian to what moves.
        descent: momentum, warm-up and damping.

    Raises:
        ValueError: if a value is out of range.
    """

    moves: Latent | Layer
    steps: int
    lr: float = 0.1
    towards: Losses | Reached = Losses()
    temperature: float = 0.0
    descent: Descent = ADAM

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.lr > 0 or not self.temperature >= 0:
            raise ValueError(f"a stage needs steps >= 1, lr > 0 and temperature >= 0, not {self}")
        if self.goes_back and isinstance(self.moves, Layer):
            raise ValueError("only the latent code goes back to what a layer reached")

    @property
    def layer(self) -> int:
        """The layer whose input moves; 0 is the latent code."""
        return self.moves.index if isinstance(self.moves, Layer) else 0

    @property
    def radius(self) -> float | None:
        """The radius of the l1 ball, ``None`` where there is none."""
        return self.moves.radius if isinstance(self.moves, Layer) else None

    @property
    def ends_at_objective(self) -> bool:
        """Whether its best step is that of the lowest objective, not of the held-out error."""
        posterior = isinstance(self.towards, Losses) and self.towards.posterior
        return self.goes_back or (posterior and isinstance(self.moves, Latent))

    @property
    def goes_back(self) -> bool:
        """Whether it moves towards what a layer reached instead of towards the measurements."""
        return isinstance(self.towards, Reached)


@dataclass(frozen=True)
class Method:
    """A named list of stages, and what goes with them.

    Attributes:
        name: name on the command line.
        stages: stages in the order in which they run; layers must not decrease except where a stage
            goes back.
        random_start: whether it sets out from a random latent code of the seed instead of the
            generator's mean.
        estimators: estimators that join the generator's own in the image stage, see
            `interlayer.solver.image_stage`; an empty tuple leaves a sparse deviation from the
            generator's image, and ``None`` omits the image stage.
        fidelity: its own measurement error; ``None`` takes the one that suits the noise.
        multiscale: whether pictures are compared by `MultiScaleLoss` instead of `PerceptualLoss`.
        pictures_only: whether measurements that are not pictures are refused where a stage has a
            perceptual loss; otherwise they are compared by the fidelity alone.

    Raises:
        ValueError: if there are no stages, their layers decrease, or the first goes back.
    """

    name: str
    stages: tuple[Stage, ...]
    random_start: bool = False
    estimators: tuple[Estimator, ...] | None = None
    fidelity: Fidelity | None = field(default=None, repr=False)
    multiscale: bool = False
    pictures_only: bool = True

    def __post_init__(self) -> None:
        layers = [stage.layer for stage in self.stages]
        pairs = zip(self.stages, self.stages[1:], strict=False)
        if not layers or any(b.layer < a.layer and not b.goes_back for a, b in pairs):
            raise ValueError(f"a method needs stages with non-decreasing layers, not {layers}")
        if self.stages[0].goes_back:
            raise ValueError("the first stage has nothing to go back from")

    @property
    def steps(self) -> int:
        """The number of gradient steps of all stages together."""
        return sum(stage.steps for stage in self.stages)

    @property
    def perceives(self) -> bool:
        """Whether a stage has a perceptual loss."""
        return any(isinstance(s.towards, Losses) and s.towards.perceptual for s in self.stages)

    @property
    def fingerprint(self) -> str:
        """Text of all settings, the same in every process."""
        return f"{self!r} {getattr(self.fidelity, '__name__', self.fidelity)}"

    def without_perceptual(self) -> Method:
        """The method with the fidelity alone."""
        stages = [
            replace(stage, towards=replace(stage.towards, perceptual=0.0))
            if isinstance(stage.towards, Losses)
            else stage
            for stage in self.stages
        ]
        return replace(self, stages=tuple(stages))

    def placing(self, layer: int) -> Method:
        """The method with a stage for the place of the picture, the input of ``layer``.

        It follows the stages of the latent code, with as many steps as they have together.
        """
        count = next((i for i, s in enumerate(self.stages) if s.layer > 0), len(self.stages))
        if not count:
            raise ValueError(f"{self.name} has no stage of the latent code to place")
        steps = sum(stage.steps for stage in self.stages[:count])
        place = replace(self.stages[count - 1], moves=Layer(layer), steps=steps, lr=PLACING_RATE)
        later = tuple(stage for stage in self.stages[count:] if stage.layer > layer)
        return replace(self, stages=(*self.stages[:count], place, *later))

    def within(self, num_layers: int) -> Method:
        """The method without stages that a generator of ``num_layers`` lacks, steps kept."""
        stages = tuple(stage for stage in self.stages if stage.layer < num_layers)
        return replace(self, stages=stages).scaled(self.steps)

    def onwards(self, layer: int) -> Method:
        """The method from a layer on, to go on from a point there, steps kept.

        Raises:
            InputError: if it has no such stage.
        """
        stages = tuple(s for s in self.stages if s.layer >= layer and not s.goes_back)
        if not stages:
            raise InputError(
                f"{self.name} moves no layer from {layer} on, where the point is; give a method "
                "that goes as deep, such as auto"
            )
        return replace(self, stages=stages).scaled(self.steps)

    def scaled(self, steps: int) -> Method:
        """The method with ``steps`` steps in all, shared in the same proportion.

        Every stage has at least one.
        """
        shares = [max(1, round(stage.steps * steps / self.steps)) for stage in self.stages]
        shares[0] = max(1, shares[0] + steps - sum(shares))
        stages = [replace(stage, steps=n) for stage, n in zip(self.stages, shares, strict=True)]
        return replace(self, stages=tuple(stages))
