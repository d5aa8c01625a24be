"""What is asked of photos that are to be restored, as a plan and as flags of the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from interlayer.errors import InputError
from interlayer.media.masks import Meaning
from interlayer.media.photos import Photo
from interlayer.problem.blur_level import Blur, Shape
from interlayer.recipes.restoring import Findings, Plan


@dataclass(frozen=True)
class Wishes:
    """What is asked of every photo; ``None`` leaves it to what is found.

    Attributes:
        faces: number of faces, the largest first.
        noise: standard deviation of the noise.
        blur: blur in pixels of the photo.
        jpeg: whether the file's JPEG is accounted for.
        colorize: whether faces in grey or sepia get colours.
        quality: "draft", "normal" or "best".
        seed: seed of everything random.
        mask: mask file of the one photo.
        mask_is: what its white pixels are.
    """

    faces: int | None = None
    noise: float | None = None
    blur: Blur | None = None
    jpeg: bool | None = None
    colorize: bool = False
    quality: str = "normal"
    seed: int = 0
    mask: Path | None = None
    mask_is: Meaning | None = None

    def plan(self, photo: Photo, found: Findings) -> Plan:
        """The plan for a photo: what is found in it, where nothing else is said."""
        told: dict[str, Any] = {"faces": found.faces[: self.faces]}
        told |= {} if self.noise is None else {"noise": self.noise}
        told |= {} if self.blur is None else {"blur": self.blur}
        told |= {} if self.jpeg is None else {"jpeg": self.jpeg and photo.jpeg is not None}
        return Plan(replace(found, **told), self.colorize, self.quality, self.seed)

    def flags(self) -> list[str]:
        """The flags with which `interlayer restore` makes these wishes.

        >>> " ".join(Wishes(faces=1, blur=Blur("disc", 2.5), quality="draft").flags())
        '--faces 1 --blur disc:2.5 --quality draft --seed 0'
        """
        given = {
            "--mask": self.mask,
            "--mask-is": self.mask_is,
            "--faces": self.faces,
            "--noise": None if self.noise is None else _digits(self.noise),
            "--blur": None if self.blur is None else blur_text(self.blur),
        }
        words = [word for flag, at in given.items() if at is not None for word in (flag, str(at))]
        words += [] if self.jpeg is None else ["--jpeg" if self.jpeg else "--no-jpeg"]
        words += ["--colorize"] if self.colorize else []
        return [*words, "--quality", self.quality, "--seed", str(self.seed)]


def read_blur(text: str) -> Blur:
    """Read a blur as `blur_text` writes it: none, gaussian:S, disc:R or line:LENGTH:ANGLE.

    Raises:
        InputError: if it is none of these, or out of range.

    >>> read_blur("line:12:30")
    Blur(shape='line', size=12.0, angle=30.0)
    """
    shape, *numbers = text.split(":")
    try:
        size, angle = map(float, [*numbers, "0", "0"][:2])
    except ValueError:
        raise InputError(
            f"--blur {text}: give none, gaussian:S, disc:R or line:LENGTH:ANGLE"
        ) from None
    return Blur(cast(Shape, shape), size, angle % 180)


def blur_text(blur: Blur) -> str:
    """Write a blur such that `read_blur` reads the very same.

    >>> blur_text(Blur("line", 12, 30.5)), blur_text(Blur("none"))
    ('line:12:30.5', 'none')
    """
    numbers = {"none": (), "line": (blur.size, blur.angle)}.get(blur.shape, (blur.size,))
    return ":".join([blur.shape, *map(_digits, numbers)])


def _digits(number: float) -> str:
    """The fewest digits that give the very same number."""
    return repr(number).removesuffix(".0")
