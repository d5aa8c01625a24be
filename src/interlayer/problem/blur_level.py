"""Blur of a photo, as it is found or told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Blur:
    """Blur of a known shape.

    Attributes:
        shape: "none", "gaussian", "disc" or "line".
        size: standard deviation, radius or length in pixels of the picture.
        angle: direction of a line in degrees, anticlockwise from the horizontal.
    """

    shape: Literal["none", "gaussian", "disc", "line"]
    size: float = 0.0
    angle: float = 0.0
