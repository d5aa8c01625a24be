"""Methods as data: stages over a generator's layers, presets of the literature, estimators."""

from interlayer.methods.classical import CLASSICAL
from interlayer.methods.estimators import ESTIMATORS, Candidate, Direct, Estimator, Evidence
from interlayer.methods.presets import (
    METHODS,
    auto,
    csgm,
    ilo,
    ilo_mse_lpips,
    pulse,
    pulse_lpips,
    pulse_mse_lpips,
    robust,
    sgilo,
    sparse_gen,
    wplus,
)
from interlayer.methods.stages import Descent, Latent, Layer, Losses, Method, Reached, Stage

__all__ = [
    "CLASSICAL",
    "ESTIMATORS",
    "METHODS",
    "Candidate",
    "Descent",
    "Direct",
    "Estimator",
    "Evidence",
    "Latent",
    "Layer",
    "Losses",
    "Method",
    "Reached",
    "Stage",
    "auto",
    "csgm",
    "ilo",
    "ilo_mse_lpips",
    "pulse",
    "pulse_lpips",
    "pulse_mse_lpips",
    "robust",
    "sgilo",
    "sparse_gen",
    "wplus",
]
