"""What a stage minimises, assembled from the weights of its `Losses`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from deepinv.physics import GaussianNoise, Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.methods.stages import Losses
from interlayer.networks.perceptual import load_perceptual
from interlayer.problem.fidelity import fidelity_for
from interlayer.problem.holdout import Split
from interlayer.solver.penalties import geodesic_cross, latent_prior
from interlayer.solver.perceptual_terms import MultiScaleLoss, PerceptualLoss

Fidelity = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class Objective:
    """The terms of one problem, each a value per image.

    Args:
        y: measurements (B, ...).
        split: which of them are fitted and which judge.
        fidelity: the measurement error ``(predicted, y, weight, x) -> (B,)``.
        perceptual: the perceptual term, same signature, or ``None`` where no stage asks for it.
    """

    def __init__(
        self, y: Tensor, split: Split, fidelity: Fidelity, perceptual: Fidelity | None
    ) -> None:
        self.y, self.split, self.fidelity, self.perceptual = y, split, fidelity, perceptual
        self.judges = bool(split.held.any())

    def fit(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Error (B,) of the fitted measurements."""
        return self.fidelity(predicted, self.y, self.split.fit, x)

    def held_out(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Error (B,) of the held-out measurements; NaN where there are none."""
        if not self.judges:
            return x.new_full((len(x),), torch.nan)
        return self.fidelity(predicted, self.y, self.split.held, x)

    def __call__(
        self, losses: Losses, fit: Tensor, predicted: Tensor, x: Tensor, z: Tensor, u: Tensor | None
    ) -> Tensor:
        """The weighted sum (B,), given the error ``fit`` of the fitted measurements.

        The priors see the latent code ``z`` and the whitened deviation ``u`` of a later layer.
        """
        total = losses.fidelity * fit
        if losses.perceptual:
            assert self.perceptual is not None
            total = total + losses.perceptual * self.perceptual(
                predicted, self.y, self.split.fit, x
            )
        if losses.geocross:
            total = total + losses.geocross * geodesic_cross(z)
        if losses.latent:
            total = total + losses.latent * latent_prior(z)
        if losses.layer and u is not None:
            total = total + losses.layer * latent_prior(u)
        return total


def natural_fidelity(physics: Physics) -> Fidelity:
    """The measurement error that suits the operator's noise and sensor."""
    loss = fidelity_for(physics)
    return lambda predicted, y, weight, x: loss(predicted, y, weight)


def perceptual_term(physics: Physics, y: Tensor, multiscale: bool) -> Fidelity:
    """The perceptual loss for measurements that are RGB pictures.

    Raises:
        InputError: if they are not.
    """
    if y.ndim != 4 or y.shape[1] != 3 or y.is_complex():
        raise InputError(
            "a perceptual loss compares RGB pictures, which these measurements are not; "
            "use a method without it"
        )
    network = load_perceptual().to(y.device)
    if not multiscale:
        return PerceptualLoss(network)
    noise = physics.noise_model
    return MultiScaleLoss(network, float(noise.sigma) if isinstance(noise, GaussianNoise) else 0.0)
