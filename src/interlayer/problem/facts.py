"""What kind of measurement this is: questions that the solver asks of an operator."""

from __future__ import annotations

import numpy as np
import torch
from deepinv.physics import (
    Inpainting,
    LinearPhysics,
    Physics,
    PoissonNoise,
)
from deepinv.physics.noise import ZeroNoise
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from interlayer.problem import GaussianMatrix
from interlayer.problem.fidelity import fidelity_for, measurement_loss
from interlayer.problem.holdout import Split


def can_refine(physics: Physics) -> bool:
    """Whether least squares in the image suits the measurements: linear, with unbiased noise."""
    unbiased = fidelity_for(physics) is measurement_loss or isinstance(
        physics.noise_model, PoissonNoise
    )
    return unbiased and isinstance(physics, LinearPhysics)


def _slow(physics: Physics) -> bool:
    """Whether every product with the operator takes seconds."""
    return any(isinstance(module, GaussianMatrix) for module in physics.modules())


def _noiseless(physics: Physics) -> bool:
    return isinstance(physics.noise_model, ZeroNoise)


def _judged_pixels(physics: Physics, split: Split) -> Tensor | None:
    """Where pixels are as near to known ones as some held-out pixel is (B, 1, H, W).

    ``None`` where every pixel is, or the measurements are no pixels.
    """
    if not isinstance(physics, Inpainting):
        return None
    fitted = (split.fit > 0).cpu().numpy()
    distance = np.stack([np.asarray(distance_transform_edt(~row[0]))[None] for row in fitted])
    held = split.held.cpu().numpy() > 0
    farthest = np.where(held, distance, 0).max((1, 2, 3), keepdims=True)
    judged = torch.from_numpy(distance <= farthest).to(split.fit.device)
    return None if judged.all() else judged
