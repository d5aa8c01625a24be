"""Recover images from few or corrupted measurements with a pre-trained generator as the prior."""

from importlib.metadata import version

from interlayer.align import Aligned, align, find_faces, paste_back
from interlayer.checkpoints import convert, inspect
from interlayer.classical import CLASSICAL, estimate_noise
from interlayer.classifiers import Classifier, load_classifier
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
from interlayer.imagine import class_probability, imagine, imagine_pixels, towards_class
from interlayer.losses import LOSSES, fidelity_for, geodesic_cross, measurement_loss
from interlayer.methods import METHODS, Losses, Method, Stage, auto, csgm, ilo, pulse, sparse_gen
from interlayer.perceptual import MultiScaleLoss, PerceptualLoss, load_perceptual, lpips
from interlayer.physics import (
    JPEG,
    BicubicDownsampling,
    GaussianMatrix,
    Magnitudes,
    PartialCirculant,
    UniformQuantiser,
)
from interlayer.projections import project_l1_ball, project_sphere
from interlayer.reconstruct import QUALITIES, method_names, reconstruct
from interlayer.refine import refine
from interlayer.sequence import Film, recover_sequence
from interlayer.solve import Solution, StageRecord, State, as_reconstructor, iterate, solve
from interlayer.tasks import TASKS, make_physics
from interlayer.uncertainty import coverage, sample
from interlayer.video import read_frames, write_video

__version__ = version("interlayer")
__all__ = [
    "CLASSICAL",
    "JPEG",
    "LOSSES",
    "METHODS",
    "QUALITIES",
    "TASKS",
    "Aligned",
    "BicubicDownsampling",
    "Classifier",
    "Film",
    "GaussianMatrix",
    "Generator",
    "InputError",
    "LayerState",
    "LayerStatistics",
    "Losses",
    "Magnitudes",
    "Method",
    "MobileStyleGAN",
    "MultiScaleLoss",
    "PartialCirculant",
    "PerceptualLoss",
    "Sequential",
    "Solution",
    "Stage",
    "StageRecord",
    "State",
    "StyleGAN2",
    "ToyGenerator",
    "UniformQuantiser",
    "align",
    "as_reconstructor",
    "auto",
    "class_probability",
    "convert",
    "coverage",
    "csgm",
    "estimate_noise",
    "fidelity_for",
    "find_faces",
    "geodesic_cross",
    "ilo",
    "imagine",
    "imagine_pixels",
    "inspect",
    "iterate",
    "load",
    "load_classifier",
    "load_perceptual",
    "lpips",
    "make_physics",
    "measurement_loss",
    "method_names",
    "paste_back",
    "project_l1_ball",
    "project_sphere",
    "pull",
    "pulse",
    "read_frames",
    "read_image",
    "reconstruct",
    "recover_sequence",
    "refine",
    "sample",
    "solve",
    "sparse_gen",
    "towards_class",
    "write_image",
    "write_video",
]
