"""A restoration in small: it finds what it is told to find, and solves with any generator."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

import interlayer
from interlayer.generators import Generator
from interlayer.media.faces import Square, cut, paste_back
from interlayer.media.photos import Photo
from interlayer.problem.blur_level import Blur
from interlayer.problem.tasks import make_physics
from interlayer.recipes.restoring import Findings, Plan
from interlayer.solver.records import State


class FoundHere(Findings):
    """Findings whose sentences do not depend on the engine."""

    def sentences(self) -> list[str]:
        return [f"{len(self.faces)} faces are in it.", f"The noise is {self.noise:.1%} of white."]


@dataclass(frozen=True, eq=False)
class Step:
    """A step of a restoration, as `interlayer.recipes.restoring.Progress`."""

    face: int
    faces: int
    state: State | None
    fraction: float
    label: str
    so_far: Tensor
    square: Square

    def picture(self) -> Tensor:
        assert self.state is not None
        return paste_back(self.so_far, self.square, self.state.solution().x_hat)


def examine(photo: Photo, known: Tensor | None = None) -> Findings:
    """Two faces in any photo that is not dark; a little blur, and noise, less where a mask is."""
    height, width = photo.x.shape[-2:]
    faces = [
        Square(complex(width / 2, height / n), complex(min(photo.x.shape[-2:]) / 5)) for n in (2, 4)
    ]
    found = tuple(faces) if photo.x.mean() > 0.05 else ()
    noise = 0.0512 if known is None else 0.03
    return FoundHere(found, noise, Blur("disc", 1.74), False, True, known)


def restore(photo: Photo, plan: Plan, generator: Generator) -> Iterator[Step]:
    """Every face after the other, by the smallest of methods."""
    shape = (3, generator.resolution, generator.resolution)
    physics = make_physics("inpaint:0.3", shape)
    picture, count = photo.x, len(plan.findings.faces)
    for number, square in enumerate(plan.findings.faces):
        problem = interlayer.Problem(physics, physics(cut(picture, square, shape[-1])))
        step = None
        for state in interlayer.reconstruct(problem, generator, "ilo", quality=plan.quality):
            fraction = (number + state.progress) / count
            step = Step(number, count, state, fraction, state.label, picture, square)
            yield step
        assert step is not None
        picture = step.picture()


def put_in_place(monkeypatch) -> None:
    """Have the page use this engine."""
    monkeypatch.setattr("interlayer.app.demo.wishes.examine", examine)
    monkeypatch.setattr("interlayer.app.demo.restoration.restore", restore)
