"""Recover images from few or corrupted measurements with a pre-trained generator as the prior."""

from importlib.metadata import version

from interlayer.errors import InputError
from interlayer.evaluation.quality import metrics
from interlayer.generators import Generator, Sequential
from interlayer.media.images import read_image, write_image
from interlayer.methods import METHODS, Latent, Layer, Losses, Method, Stage, auto, csgm, ilo, pulse
from interlayer.problem import Problem, make_physics
from interlayer.solver import (
    Settings,
    Solution,
    State,
    as_reconstructor,
    iterate,
    reconstruct,
    sample,
    solve,
)
from interlayer.weights.loading import load

__version__ = version("interlayer")
__all__ = [
    "METHODS",
    "Generator",
    "InputError",
    "Latent",
    "Layer",
    "Losses",
    "Method",
    "Problem",
    "Sequential",
    "Settings",
    "Solution",
    "Stage",
    "State",
    "as_reconstructor",
    "auto",
    "csgm",
    "ilo",
    "iterate",
    "load",
    "make_physics",
    "metrics",
    "pulse",
    "read_image",
    "reconstruct",
    "sample",
    "solve",
    "write_image",
]
