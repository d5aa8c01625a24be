"""Forward operators, noise and sensors that deepinv lacks, as deepinv physics."""

from interlayer.physics.blur import gaussian_kernel, motion_kernel
from interlayer.physics.circulant import PartialCirculant
from interlayer.physics.custom import Differentiable, physics_from_file
from interlayer.physics.gaussian import GaussianMatrix
from interlayer.physics.linear import MatrixFree, chain
from interlayer.physics.masks import box_mask, half_mask, inpainting, random_mask
from interlayer.physics.noise import DeadPixels, SeededGaussianNoise, SeededPoissonNoise
from interlayer.physics.nonlinear import JPEG, Magnitudes
from interlayer.physics.quantiser import UniformQuantiser
from interlayer.physics.resampling import BicubicDownsampling, BlockAverage

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
