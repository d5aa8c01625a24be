"""Methods as data: a list of stages over a generator's layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

DEFAULT_STEPS = 180


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

    Raises:
        ValueError: if a value is out of range.
    """

    layer: int
    steps: int
    lr: float = 0.1
    radius: float | None = None
    noise: bool = False
    sphere: bool = False

    def __post_init__(self) -> None:
        if self.layer < 0 or self.steps < 1:
            raise ValueError(f"a stage needs layer >= 0 and steps >= 1, not {self}")
        if not self.lr > 0 or (self.radius is not None and not self.radius >= 0):
            raise ValueError(f"a stage needs lr > 0 and radius >= 0, not {self}")
        if self.layer == 0 and self.radius is not None:
            raise ValueError("the first layer has no layer before it to draw a ball around")


@dataclass(frozen=True)
class Method:
    """A named list of stages with the losses they share.

    Attributes:
        name: as the command line calls it.
        stages: in the order they run; layers must not decrease.
        geocross: weight of the geodesic cross loss beside the measurement error.
        random_start: start at a random latent code of the seed instead of the generator's mean.
    """

    name: str
    stages: tuple[Stage, ...]
    geocross: float = 0.0
    random_start: bool = False

    def __post_init__(self) -> None:
        layers = [stage.layer for stage in self.stages]
        if not layers or layers != sorted(layers):
            raise ValueError(f"a method needs stages with non-decreasing layers, not {layers}")

    @property
    def steps(self) -> int:
        """Gradient steps of all stages together."""
        return sum(stage.steps for stage in self.stages)

    def within(self, num_layers: int) -> Method:
        """The same method without stages that a generator of ``num_layers`` lacks, steps kept."""
        stages = tuple(stage for stage in self.stages if stage.layer < num_layers)
        return replace(self, stages=stages).scaled(self.steps)

    def scaled(self, steps: int) -> Method:
        """The same method with ``steps`` steps in all, shared in the same proportion."""
        shares = [max(1, round(stage.steps * steps / self.steps)) for stage in self.stages]
        shares[0] = max(1, shares[0] + steps - sum(shares))
        stages = [replace(stage, steps=n) for stage, n in zip(self.stages, shares, strict=True)]
        return replace(self, stages=tuple(stages))


def csgm(steps: int = DEFAULT_STEPS, lr: float = 0.2) -> Method:
    """One stage over the latent code alone (Bora et al., CSGM, arXiv 1703.03208)."""
    return Method("csgm", (Stage(0, steps, lr),))


def pulse(steps: int = DEFAULT_STEPS, lr: float = 0.4, geocross: float = 5e-4) -> Method:
    """One stage on the sphere, with the geodesic cross loss (Menon et al., arXiv 2003.03808).

    Loss weights and step size are the paper's (100 against 0.05; spherical Adam at 0.4).
    """
    return Method(
        "pulse", (Stage(0, steps, lr, sphere=True),), geocross=geocross, random_start=True
    )


def ilo(
    steps: int = DEFAULT_STEPS,
    layers: Sequence[int] = (0, 2, 3, 4),
    radius: float = 0.05,
    lr: float = 0.2,
    layer_lr: float = 0.04,
) -> Method:
    """Intermediate Layer Optimization (Daras et al., ICML 2021, arXiv 2102.07364).

    Two fifths of the steps go to the latent code, the rest in equal shares to the other layers,
    each within an l1 ball of ``radius`` around what the stage before reached.
    """
    first, *later = layers
    share = round(600 / max(1, len(later)))
    stages = [Stage(first, 400, lr), *(Stage(p, share, layer_lr, radius) for p in later)]
    return Method("ilo", tuple(stages)).scaled(steps)


METHODS = {"ilo": ilo, "csgm": csgm, "pulse": pulse}
