"""The set that one stage searches, with the variables that move in it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from interlayer.generators import Generator, LayerState
from interlayer.methods import Stage
from interlayer.projections import project_l1_ball, project_sphere


class SearchSpace:
    r"""Inputs of one layer near what the layers before it reached: ``h = c + std * u``.

    The variables are the latent code ``z`` (which still styles the layers to come), the whitened
    deviation ``u`` with ``||u||_1 <= radius * numel(u)`` after `project`, and, where the stage says
    so, the noise maps. At layer 0 there is no ``u``.

    Args:
        generator: that the layer belongs to.
        stage: the layer and its constraints.
        z: latent codes (B, ...) to start from.
        noise: maps (B, 1, H, W) to start from.
        centre: state ``c`` before the stage's layer; ignored at layer 0.
    """

    def __init__(
        self,
        generator: Generator,
        stage: Stage,
        z: Tensor,
        noise: tuple[Tensor, ...],
        centre: LayerState,
    ) -> None:
        self.generator, self.stage, self.centre = generator, stage, centre
        self.z = z.detach().clone().requires_grad_()
        self.noise = tuple(n.detach().clone().requires_grad_(stage.noise) for n in noise)
        self.u: Tensor | None = None
        if stage.layer > 0:
            assert centre.h is not None
            self.std = generator.statistics(stage.layer).std.to(centre.h)
            self.u = torch.zeros_like(centre.h).requires_grad_()

    @property
    def variables(self) -> dict[str, Tensor]:
        """The tensors that move, by name."""
        moving = {"z": self.z}
        if self.u is not None:
            moving["u"] = self.u
        if self.stage.noise:
            moving |= {f"noise{i}": n for i, n in enumerate(self.noise)}
        return moving

    def state(self) -> LayerState:
        """The state before the stage's layer at the current variables."""
        state = self.generator.start(self.z, self.noise)
        if self.u is None:
            return state
        assert self.centre.h is not None
        return replace(state, h=self.centre.h + self.std * self.u, rgb=self.centre.rgb)

    def image(self) -> Tensor:
        """The generator's image (B, 3, H, W) at the current variables, not clipped."""
        generator = self.generator
        last = generator.run(self.state(), self.stage.layer, generator.num_layers)
        return generator.image(last)

    @torch.no_grad()
    def project(self) -> None:
        """Bring the variables back to the nearest point of the set."""
        if self.stage.sphere:
            self.z.copy_(project_sphere(self.z))
        if self.u is not None and self.stage.radius is not None:
            self.u.copy_(project_l1_ball(self.u, self.stage.radius * self.u[0].numel()))

    @torch.no_grad()
    def move_to(self, values: dict[str, Tensor]) -> None:
        """Set the variables, e.g. back to the best values seen."""
        for name, variable in self.variables.items():
            variable.copy_(values[name])

    @torch.no_grad()
    def deviation(self, u: Tensor | None) -> Tensor:
        """``mean |h - c| / std`` (B,) of a whitened deviation; 0 at layer 0."""
        return self.z.new_zeros(len(self.z)) if u is None else u.abs().flatten(1).mean(1)

    @torch.no_grad()
    def at(self, stage: Stage) -> SearchSpace:
        """The space of a later stage, centred on the current point pushed forward to its layer."""
        centre = self.generator.run(self.state(), self.stage.layer, stage.layer)
        return SearchSpace(self.generator, stage, self.z, self.noise, centre)
