"""Frozen networks that judge pictures: classifiers, and a perceptual distance."""

from interlayer.networks.classifiers import Classifier, load_classifier
from interlayer.networks.perceptual import load_perceptual

__all__ = [
    "Classifier",
    "load_classifier",
    "load_perceptual",
]
