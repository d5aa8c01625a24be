"""Weights of networks: named ones from a cache, and files of other projects, read as data."""

from interlayer.weights.cache import pull
from interlayer.weights.checkpoints import convert, inspect
from interlayer.weights.loading import load

__all__ = [
    "convert",
    "inspect",
    "load",
    "pull",
]
