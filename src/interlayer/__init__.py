"""Recover images from few or corrupted measurements with a pre-trained generator as the prior."""

from importlib.metadata import version

from interlayer.checkpoints import convert, inspect
from interlayer.errors import InputError
from interlayer.generators import (
    Generator,
    LayerState,
    LayerStatistics,
    MobileStyleGAN,
    Sequential,
    StyleGAN2,
    ToyGenerator,
)
from interlayer.hub import load, pull
from interlayer.images import read_image, write_image
from interlayer.losses import geodesic_cross, measurement_loss
from interlayer.methods import METHODS, Method, Stage, csgm, ilo, pulse
from interlayer.physics import BicubicDownsampling, PartialCirculant
from interlayer.projections import project_l1_ball, project_sphere
from interlayer.solve import Solution, StageRecord, State, as_reconstructor, iterate, solve
from interlayer.tasks import TASKS, make_physics

__version__ = version("interlayer")
__all__ = [
    "METHODS",
    "TASKS",
    "BicubicDownsampling",
    "Generator",
    "InputError",
    "LayerState",
    "LayerStatistics",
    "Method",
    "MobileStyleGAN",
    "PartialCirculant",
    "Sequential",
    "Solution",
    "Stage",
    "StageRecord",
    "State",
    "StyleGAN2",
    "ToyGenerator",
    "as_reconstructor",
    "convert",
    "csgm",
    "geodesic_cross",
    "ilo",
    "inspect",
    "iterate",
    "load",
    "make_physics",
    "measurement_loss",
    "project_l1_ball",
    "project_sphere",
    "pull",
    "pulse",
    "read_image",
    "solve",
    "write_image",
]
