"""Forward operators, noise and sensors that deepinv lacks, as deepinv physics."""

from interlayer.problem.blur import gaussian_kernel, motion_kernel
from interlayer.problem.circulant import PartialCirculant
from interlayer.problem.from_file import Differentiable, physics_from_file
from interlayer.problem.gaussian import GaussianMatrix
from interlayer.problem.linear import MatrixFree, chain
from interlayer.problem.masks import box_mask, half_mask, inpainting, random_mask
from interlayer.problem.noise import DeadPixels, SeededGaussianNoise, SeededPoissonNoise
from interlayer.problem.nonlinear import JPEG, Magnitudes
from interlayer.problem.quantiser import UniformQuantiser
from interlayer.problem.resampling import BicubicDownsampling, BlockAverage

__all__ = [
    "JPEG",
    "BicubicDownsampling",
    "BlockAverage",
    "DeadPixels",
    "Differentiable",
    "GaussianMatrix",
    "Magnitudes",
    "MatrixFree",
    "PartialCirculant",
    "SeededGaussianNoise",
    "SeededPoissonNoise",
    "UniformQuantiser",
    "box_mask",
    "chain",
    "gaussian_kernel",
    "half_mask",
    "inpainting",
    "motion_kernel",
    "physics_from_file",
    "random_mask",
]
