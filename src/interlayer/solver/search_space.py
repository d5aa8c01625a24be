"""The set that one stage searches, with the variables that move in it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from interlayer.generators import Generator, LayerState
from interlayer.methods.stages import Latent, Stage
from interlayer.solver.projections import l1_thresholds, project_sphere


class SearchSpace:
    r"""Inputs of one layer near the point that the layers before it reached: ``h = c + std * u``.

    The variables are the latent code ``z`` (which still styles the layers to come) and the whitened
    deviation ``u`` with ``||u||_1 <= radius * numel(u)`` after `project`. At layer 0 there is no
    ``u``.

    Args:
        generator: the generator that the layer belongs to.
        stage: the layer and its constraints.
        z: latent codes (B, ...) to start from.
        centre: state ``c`` before the stage's layer; ignored at layer 0.
    """

    def __init__(
        self,
        generator: Generator,
        stage: Stage,
        z: Tensor,
        centre: LayerState,
    ) -> None:
        self.generator, self.stage = generator, stage
        self.centre = centre.map(Tensor.float) if stage.layer > 0 else LayerState()
        self.z = z.detach().clone().requires_grad_()
        self.u: Tensor | None = None
        if stage.layer > 0:
            assert centre.h is not None
            self.std = generator.statistics(stage.layer).std.to(centre.h)
            self.u = torch.zeros_like(centre.h).requires_grad_()

    @property
    def variables(self) -> dict[str, Tensor]:
        """The tensors that move, by name."""
        return {"z": self.z} if self.u is None else {"z": self.z, "u": self.u}

    @property
    def point(self) -> dict[str, Tensor]:
        """The variables and what they are relative to: all that gives the image, by name."""
        fixed = {"centre": self.centre.h, "rgb": self.centre.rgb}
        return self.variables | {name: t for name, t in fixed.items() if t is not None}

    def state(self) -> LayerState:
        """The state before the stage's layer at the current variables."""
        state = self.generator.start(self._codes())
        if self.u is None:
            return state
        assert self.centre.h is not None
        return replace(state, h=self.centre.h + self.std * self.u, rgb=self.centre.rgb)

    def _codes(self) -> Tensor:
        """The latent code, the same for all style inputs where the stage says so.

        Every style input then has the gradient of the one code, so that Adam moves them alike.
        """
        tied = self.stage.moves == Latent("tied") and self.z.ndim == 3
        return self.z.mean(1, keepdim=True).expand_as(self.z) if tied else self.z

    def image(self) -> Tensor:
        """The generator's image (B, 3, H, W) at the current variables, not clipped."""
        generator = self.generator
        last = generator.run(self.state(), self.stage.layer, generator.num_layers)
        return generator.image(last)

    @torch.no_grad()
    def project(self) -> None:
        """Bring the variables back to the nearest point of the set."""
        self.z.copy_(self._codes())
        if self.stage.moves == Latent("sphere"):
            self.z.copy_(project_sphere(self.z))
        radius = self.stage.radius
        if self.u is not None and radius is not None:
            tau = l1_thresholds(self.u, radius * self.u[0].numel())
            if tau.any():
                self.u.sub_(self.u.clamp(-tau, tau))

    @torch.no_grad()
    def move_to(self, values: dict[str, Tensor]) -> None:
        """Go to another `point`, e.g. back to the best one seen."""
        for name, tensor in self.point.items():
            tensor.copy_(values[name])

    @torch.no_grad()
    def deviation(self, u: Tensor | None) -> Tensor:
        """Size ``mean |h - c| / std`` (B,) of a whitened deviation; 0 at layer 0."""
        return self.z.new_zeros(len(self.z)) if u is None else u.abs().flatten(1).mean(1)

    def distance(self, goal: SearchSpace) -> Tensor:
        """Distance ``mean |(G(z) - h) / std|²`` (B,) from layer 0 to a later layer's input h."""
        layer = goal.stage.layer
        reached, wanted = self.generator.run(self.state(), 0, layer).h, goal.state().h
        assert reached is not None and wanted is not None
        return ((reached - wanted.detach()) / goal.std).square().flatten(1).mean(1)

    @torch.no_grad()
    def at(self, stage: Stage) -> SearchSpace:
        """The space of a later stage, centred on the current point pushed forward to its layer.

        A stage that goes back takes the latent code alone.
        """
        if stage.goes_back:
            return SearchSpace(self.generator, stage, self.z, LayerState())
        centre = self.generator.run(self.state(), self.stage.layer, stage.layer)
        return SearchSpace(self.generator, stage, self.z, centre)
