"""Recover images from few or corrupted measurements with a pre-trained generator as the prior."""

from importlib.metadata import version

from interlayer.errors import InputError
from interlayer.evaluation.quality import coverage, lpips
from interlayer.generators import (
    Generator,
    LayerState,
    LayerStatistics,
    MobileStyleGAN,
    Sequential,
    StyleGAN2,
    ToyGenerator,
)
from interlayer.media.faces import Aligned, align, find_faces, paste_back
from interlayer.media.images import read_image, write_image
from interlayer.media.video import read_frames, write_video
from interlayer.methods.classical import CLASSICAL, estimate_noise
from interlayer.methods.presets import METHODS, auto, csgm, ilo, pulse, sparse_gen
from interlayer.methods.stages import Losses, Method, Stage
from interlayer.networks.classifiers import Classifier, load_classifier
from interlayer.networks.perceptual import load_perceptual
from interlayer.problem import (
    JPEG,
    BicubicDownsampling,
    GaussianMatrix,
    Magnitudes,
    PartialCirculant,
    UniformQuantiser,
)
from interlayer.problem.fidelity import LOSSES, fidelity_for, measurement_loss
from interlayer.problem.tasks import TASKS, make_physics
from interlayer.recipes.films import Film, recover_sequence
from interlayer.recipes.imagining import class_probability, imagine, imagine_pixels, towards_class
from interlayer.solver.by_name import QUALITIES, method_names, reconstruct
from interlayer.solver.deepinv import as_reconstructor
from interlayer.solver.image_stage import refine
from interlayer.solver.penalties import geodesic_cross
from interlayer.solver.perceptual_terms import MultiScaleLoss, PerceptualLoss
from interlayer.solver.projections import project_l1_ball, project_sphere
from interlayer.solver.records import Solution, StageRecord, State
from interlayer.solver.sampling import sample
from interlayer.solver.solving import iterate, solve
from interlayer.weights.cache import pull
from interlayer.weights.checkpoints import convert, inspect
from interlayer.weights.loading import load

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
