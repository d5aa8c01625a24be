from .errors import InputError
from .evaluation.quality import metrics
from .generators import Generator, Sequential
from .media.images import read_image, write_image
from .methods import METHODS, Latent, Layer, Losses, Method, Stage, auto, csgm, ilo, pulse
from .problem import Problem, make_physics
from .solver import (
    Settings,
    Solution,
    State,
    as_reconstructor,
    iterate,
    reconstruct,
    sample,
    solve,
)
from .weights.loading import load

__version__: str
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
