"""Restoration of the faces in a photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from interlayer.generators import Generator
from interlayer.media.faces import Square
from interlayer.media.photos import Photo
from interlayer.problem.blur_level import Blur
from interlayer.solver.records import State


@dataclass(frozen=True, eq=False)
class Findings:
    """What a photo has lost, and where its faces are.

    Attributes:
        faces: the faces to restore, the largest first.
        noise: standard deviation, for images in [0, 1].
        blur: blur in pixels of the photo.
        jpeg: whether the file's JPEG is accounted for.
        toned: whether the photo is grey or sepia.
        known: mask (1, 1, H, W) of intact pixels; ``None`` where all are.
    """

    faces: tuple[Square, ...] = ()
    noise: float = 0.0
    blur: Blur = Blur("none")
    jpeg: bool = False
    toned: bool = False
    known: Tensor | None = None

    def sentences(self) -> list[str]:
        """One line for each finding."""
        return ["No face was found."]


@dataclass(frozen=True)
class Plan:
    """What a restoration is to do."""

    findings: Findings
    colorize: bool = False
    quality: str = "normal"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Progress:
    """One step of a restoration: the face under way, and the photo so far."""

    face: int
    faces: int
    state: State | None
    fraction: float
    label: str
    photo: Tensor

    def picture(self) -> Tensor:
        """The whole photo (1, 3, H, W) with what is the best so far."""
        return self.photo


def examine(photo: Photo, known: Tensor | None = None) -> Findings:
    """Find out what a photo has lost."""
    return Findings(known=known if known is not None else photo.known)


def restore(photo: Photo, plan: Plan, generator: Generator) -> Iterator[Progress]:
    """Restore the faces of a photo, one after the other."""
    yield Progress(0, len(plan.findings.faces), None, 1.0, "nothing to do", photo.x)
