"""The objective of a stage, assembled from the weights of its `Losses`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from interlayer.errors import InputError
from interlayer.methods.stages import Losses, Method
from interlayer.networks.perceptual import load_perceptual
from interlayer.problem.fidelity import Fidelity
from interlayer.problem.holdout import Split
from interlayer.problem.problem import Problem
from interlayer.solver.penalties import geodesic_cross, latent_prior
from interlayer.solver.perceptual_terms import MultiScaleLoss, PerceptualLoss
from interlayer.solver.search_space import SearchSpace


@dataclass(frozen=True, eq=False)
class Objective:
    """The terms of one problem, each a value per image.

    Attributes:
        problem: the measurements.
        split: the measurements that are fitted and those that judge.
        fidelity: the measurement error: the problem's own, else the method's, else the noise's.
        perceptual: the perceptual term, ``None`` where no stage asks for it.
    """

    problem: Problem
    split: Split
    fidelity: Fidelity
    perceptual: Fidelity | None

    @classmethod
    def of(cls, problem: Problem, method: Method, split: Split) -> Objective:
        """The objective of a method on a problem.

        Raises:
            InputError: if the method compares pictures and the measurements are none.
        """
        own = problem.own_fidelity or method.fidelity
        if own is None and problem.unknown_noise is not None:
            warnings.warn(
                f"no measurement error is known that suits {problem.unknown_noise}; the squared "
                "error is used, unless you give a fidelity",
                stacklevel=5,
            )
        perceptual = perceptual_term(problem, method.multiscale) if method.perceives else None
        return cls(problem, split, own or problem.natural_fidelity, perceptual)

    def fit(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Error (B,) of the fitted measurements."""
        return self.fidelity(predicted, self.problem.y, self.split.fit, x)

    def held_out(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Error (B,) of the held-out measurements; NaN where there are none."""
        if not self.split.judges:
            return x.new_full((len(x),), torch.nan)
        return self.fidelity(predicted, self.problem.y, self.split.held, x)

    def total(self, space: SearchSpace, predicted: Tensor, x: Tensor, fit: Tensor) -> Tensor:
        """The weighted sum (B,) of a stage's terms, given the error ``fit`` of its measurements.

        The priors see the latent code and the whitened deviation of a later layer, or its input.
        """
        losses = space.stage.towards
        assert isinstance(losses, Losses)
        total = losses.fidelity * fit
        if losses.perceptual:
            assert self.perceptual is not None
            seen = self.perceptual(predicted, self.problem.y, self.split.fit, x)
            total = total + losses.perceptual * seen
        if losses.geocross:
            total = total + losses.geocross * geodesic_cross(space.z)
        scale = self.prior_scale(space.z) if losses.posterior else 1
        if losses.latent:
            energy = losses.latent_energy or latent_prior
            total = total + losses.latent * scale * energy(space.z)
        if losses.layer and space.u is not None:
            h, energy = space.state().h, losses.layer_energy
            assert h is not None
            prior = energy(h) if energy else latent_prior(space.u)
            total = total + losses.layer * scale * prior
        return total

    def prior_scale(self, z: Tensor) -> Tensor:
        """Number of entries of a latent code over that of the fitted measurements (B,)."""
        fitted = self.split.fit.expand_as(self.problem.y).flatten(1).sum(1)
        return z.shape[-1 if z.ndim == 3 else 1] / fitted.clamp_min(1)


def perceptual_term(problem: Problem, multiscale: bool) -> Fidelity:
    """The perceptual loss for measurements that are RGB pictures.

    Raises:
        InputError: if they are not.
    """
    if not problem.picture:
        raise InputError(
            "a perceptual loss compares RGB pictures, which these measurements are not; "
            "use a method without it"
        )
    network = load_perceptual().to(problem.y.device)
    if not multiscale:
        return PerceptualLoss(network)
    noise = problem.noise
    known = noise.sigma if noise.source == "known" else None
    return MultiScaleLoss(network, known or 0.0)
