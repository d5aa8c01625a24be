"""What a visitor wants done to a photo: what was found in it, and what is corrected."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from torch import Tensor

from interlayer.app.demo.pictures import painted_mask
from interlayer.app.wishes import Wishes
from interlayer.errors import InputError
from interlayer.media.photos import Photo, read_photo
from interlayer.problem.blur_level import Blur
from interlayer.recipes.restoring import Findings, Plan, examine

PERCENT = 100  # noise is asked for in percent of white
LARGEST, ALL = "largest", "all"
BLURS = [
    ("It is sharp (none)", "none"),
    ("It is soft all over (Gaussian)", "gaussian"),
    ("It is out of focus (disc)", "disc"),
    ("It is smeared along a line (motion)", "line"),
]
NO_PHOTO = "there is no photo yet; choose one first"
RESTORED, SCRATCHES, EXAMPLE_FILE = "restored.png", "scratches.png", "example.jpg"
FOLDER = "restored"
DIGITS = 6  # of a noise whose white is 1
BLUR_FIELDS = {"blur", "size", "angle"}


class Wish(NamedTuple):
    """What a visitor says about a photo, in the order of the page's components.

    Numbers are those of the page; where they are still what `shown` gave, what was found counts.
    """

    dropped: Dropped | None
    brushed: bool
    strokes: Sequence[Sequence[float]]
    colorize: bool
    faces: str
    noise: float | None
    blur: str
    size: float | None
    angle: float | None
    jpeg: bool
    quality: str
    seed: float | None


@dataclass(frozen=True, eq=False)
class Dropped:
    """A photo as it was dropped: the bytes of the file, which are less than its pixels.

    Attributes:
        name: name of the file.
        content: bytes of the file.
        findings: what was found in it.
        made: whether the page made it, so that the visitor has no such file.
    """

    name: str
    content: bytes
    findings: Findings
    made: bool = False

    def photo(self) -> Photo:
        """The photo, read again."""
        return photo_of(self.name, self.content)


def photo_of(name: str, content: bytes) -> Photo:
    """Read a photo from the bytes of its file.

    Raises:
        InputError: if they are no photo; the sentence does not tell a path.
    """
    with TemporaryDirectory(prefix="interlayer-photo-") as folder:
        file = Path(folder) / f"photo{Path(name).suffix}"
        file.write_bytes(content)
        try:
            return read_photo(file)
        except InputError as error:
            raise InputError(str(error).replace(str(file), "this file")) from None


def dropped(name: str, content: bytes, made: bool = False) -> tuple[Dropped, Photo]:
    """A photo and what is found in it.

    Args:
        name: name of the file.
        content: bytes of the file.
        made: whether the page made it.

    Raises:
        InputError: if it cannot be read or examined.
    """
    photo = photo_of(name, content)
    return Dropped(name, content, examine(photo), made), photo


def shown(findings: Findings) -> dict[str, Any]:
    """What was found, as the page's fields for corrections show it."""
    return {
        "noise": round(PERCENT * findings.noise, 1),
        "blur": findings.blur.shape,
        "size": round(findings.blur.size, 1),
        "angle": round(findings.blur.angle),
        "jpeg": findings.jpeg,
    }


def plan_of(wish: Wish, photo: Photo) -> Plan:
    """The plan of a restoration: what is found, where the visitor does not correct it.

    A photo with scratches is examined again without them, as it is on the command line.

    Raises:
        InputError: if there is no photo or a correction makes no sense.
    """
    return wishes_of(wish).plan(photo, _found(wish, photo))


def wishes_of(wish: Wish) -> Wishes:
    """What a visitor asks for, in the terms of the command line.

    Raises:
        InputError: as for `plan_of`.
    """
    changed, brushed = _corrected(wish), has_scratches(wish)
    noise = round(_between(wish.noise, PERCENT, "noise") / PERCENT, DIGITS)
    return Wishes(
        faces=1 if wish.faces == LARGEST else None,
        noise=noise if "noise" in changed else None,
        blur=_blur(wish) if changed & BLUR_FIELDS else None,
        jpeg=wish.jpeg if "jpeg" in changed else None,
        colorize=wish.colorize,
        quality=wish.quality,
        seed=int(wish.seed or 0),
        mask=Path(SCRATCHES) if brushed else None,
        mask_is="known" if brushed else None,
    )


def command(wish: Wish, generator: str) -> str:
    """The command line that repeats a restoration, beside the photo and `SCRATCHES`."""
    assert wish.dropped is not None
    name = wish.dropped.name
    photo = f"./{name}" if name.startswith("-") else name
    words = ["interlayer", "restore", photo, *wishes_of(wish).flags()]
    return shlex.join([*words, "--generator", generator, "--out", FOLDER])


def scratches(wish: Wish, photo: Photo) -> Tensor | None:
    """The mask (1, 1, H, W) of what is not brushed over; ``None`` where nothing is."""
    if not has_scratches(wish):
        return None
    height, width = photo.x.shape[-2:]
    return painted_mask(wish.strokes, (height, width)).bool()


def has_scratches(wish: Wish) -> bool:
    """Whether the visitor has brushed over something that is to be filled in."""
    return wish.brushed and len(wish.strokes) > 0


def _corrected(wish: Wish) -> set[str]:
    """The fields that do not say what `shown` gave them; an emptied number is no correction."""
    if wish.dropped is None:
        raise InputError(NO_PHOTO)
    fields = shown(wish.dropped.findings)
    return {name for name, value in fields.items() if getattr(wish, name) not in (None, value)}


def _found(wish: Wish, photo: Photo) -> Findings:
    """What is found in the pixels that are not brushed over."""
    assert wish.dropped is not None
    intact = scratches(wish, photo)
    if intact is None:
        return wish.dropped.findings
    return examine(photo, intact if photo.known is None else intact & photo.known)


def _blur(wish: Wish) -> Blur:
    if wish.blur == "none":
        return Blur("none")
    size = _between(wish.size, 100, "blur")
    if not size:
        raise InputError("the size of the blur is 0; choose 'none' where there is no blur")
    angle = _between(wish.angle, 180, "direction") % 180 if wish.blur == "line" else 0.0
    return Blur(wish.blur, size, angle)  # type: ignore[arg-type]


def _between(value: float | None, most: float, what: str) -> float:
    """A number of the page, which may be anything that a browser sends."""
    number = float(value or 0)
    if not 0 <= number <= most:
        raise InputError(f"the {what} must be between 0 and {most:g}, not {number:g}")
    return number
