"""The problem: what was measured, by which operator, with which noise, and what is held out."""

from interlayer.problem.blur import gaussian_kernel, motion_kernel
from interlayer.problem.catalogue import TASKS
from interlayer.problem.circulant import PartialCirculant
from interlayer.problem.fidelity import LOSSES, Fidelity, measurement_loss
from interlayer.problem.from_file import Differentiable, physics_from_file
from interlayer.problem.gaussian import GaussianMatrix
from interlayer.problem.likelihoods import fidelity_for
from interlayer.problem.linear import MatrixFree, chain
from interlayer.problem.masks import box_mask, half_mask, inpainting, random_mask
from interlayer.problem.measurements import load_problem, measure, save_problem
from interlayer.problem.noise import DeadPixels, SeededGaussianNoise, SeededPoissonNoise
from interlayer.problem.noise_level import estimate_noise
from interlayer.problem.nonlinear import JPEG, Magnitudes
from interlayer.problem.problem import Problem
from interlayer.problem.quantiser import UniformQuantiser
from interlayer.problem.resampling import BicubicDownsampling, BicubicEnlargement, BlockAverage
from interlayer.problem.tasks import Task, make_physics

__all__ = [
    "BicubicDownsampling",
    "BicubicEnlargement",
    "BlockAverage",
    "DeadPixels",
    "Differentiable",
    "Fidelity",
    "GaussianMatrix",
    "JPEG",
    "LOSSES",
    "Magnitudes",
    "MatrixFree",
    "PartialCirculant",
    "Problem",
    "SeededGaussianNoise",
    "SeededPoissonNoise",
    "TASKS",
    "Task",
    "UniformQuantiser",
    "box_mask",
    "chain",
    "estimate_noise",
    "fidelity_for",
    "gaussian_kernel",
    "half_mask",
    "inpainting",
    "load_problem",
    "make_physics",
    "measure",
    "measurement_loss",
    "motion_kernel",
    "physics_from_file",
    "random_mask",
    "save_problem",
]
