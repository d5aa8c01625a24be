"""Photos that are measurements already: noisy, small, blurred, grey, scratched, compressed.

Nothing about a photo is exact. Its numbers were rounded, perhaps twice, by the camera and by JPEG; what
lay beyond its edges is unknown; the level that someone gives is a guess. All of that becomes part of
the problem, as operators and noise of the task that stands for the photo:

    superres:K     from the sizes: the image is K times as large as the photo
    colorize, deblur:SIGMA,open and so on, as the user says, in pixels of the photo
    mask:seen      what the photo shows: neither holes nor, for a blur, its edges
    jpeg-file:GRID in place of the pixels of a JPEG file, the numbers in it, whose errors are independent
    denoise:S      at least the rounding to 8 bits
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from deepinv.physics import Decolorize, Inpainting
from torch import Tensor

from interlayer.media.faces import Square, cut
from interlayer.media.photos import Photo, read_photo
from interlayer.problem.blur import OpenBlur
from interlayer.problem.jpeg_coefficients import JPEGCoefficients, Steps, believed
from interlayer.problem.linear import operators_of
from interlayer.problem.noise_level import estimate_noise
from interlayer.problem.problem import Problem
from interlayer.problem.tasks import Task, make_physics, split_task

Note = Callable[[str], None]
ROUNDING = 1 / 255 / 12**0.5
HOLES = ("inpaint", "mask", "box", "half")
BLURS = ("deblur", "defocus", "motion")
MIXING = ("circulant", "gaussian", "phase")


@dataclass(frozen=True, eq=False)
class Picture:
    """A square cut out of a photo, which is to be explained as measurements of an image.

    Attributes:
        y: its pixels (1, 3, s, s) in [0, 1].
        known: mask (1, 1, s, s) of those that are intact; ``None`` for all.
        steps: quantisation of the JPEG file, at the scale of the picture; ``None`` for others.
        offset: rows and columns of the file's grid of blocks above and left of the picture.
        scale: size of a pixel of the photo, in pixels of the picture, at most 1.
    """

    y: Tensor
    known: Tensor | None = None
    steps: Steps | None = None
    offset: tuple[int, int] = (0, 0)
    scale: float = 1.0

    @property
    def side(self) -> int:
        return self.y.shape[-1]

    def resized(self, side: int) -> Picture:
        """The picture at a smaller size."""
        factor = side / self.side
        y = F.interpolate(self.y, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        known = self.known
        if known is not None:
            known = F.interpolate(known.float(), (side, side), mode="area") >= 1
        steps = None if self.steps is None else self.steps.rescaled(factor)
        return Picture(y, known, steps, (0, 0), self.scale * factor)


def cut_picture(photo: Photo, largest: int, square: Square | None = None) -> Picture:
    """The central square of a photo, or a turned one, at its own size or at most ``largest``."""
    steps = None
    if photo.jpeg is not None:
        chroma = photo.jpeg.luma if photo.jpeg.chroma is None else photo.jpeg.chroma
        steps = Steps(photo.jpeg.luma.float(), chroma.float(), photo.jpeg.subsampling)
    if square is not None:
        side = min(largest, max(8, round(square.side)))
        factor = min(1.0, side / square.side)
        known = photo.known
        if known is not None:
            known = cut(known.float().expand(-1, 3, -1, -1), square, side)[:, :1] >= 0.99
        steps = None if steps is None else steps.rescaled(factor)
        return Picture(cut(photo.x, square, side), known, steps, (0, 0), factor)
    height, width = photo.x.shape[-2:]
    side = min(height, width)
    above, left = (height - side) // 2, (width - side) // 2
    rows, columns = slice(above, above + side), slice(left, left + side)
    known = None if photo.known is None else photo.known[..., rows, columns]
    picture = Picture(photo.x[..., rows, columns], known, steps, (above, left))
    return picture if side <= largest else picture.resized(largest)


def read_measured(
    path: Path, task: str, img_size: tuple[int, ...], seed: int = 0, note: Note | None = None
) -> Problem:
    return explain(cut_picture(read_photo(path), img_size[-1]), task, img_size, seed, note)


def explain(
    picture: Picture,
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    note: Note | None = None,
) -> Problem:
    note = note or (lambda text: None)
    parts = [part.partition(":")[::2] for part in split_task(task)]
    names = [name for name, _ in parts]
    picture, first = _enlargement(picture, parts, img_size[-1], note)
    y, tensors = picture.y, dict[str, Tensor]()
    size = (3, picture.side, picture.side)
    texts = list[str]()
    seen = torch.ones(1, 1, *size[1:]) if picture.known is None else picture.known.float()
    band = 0
    for name, level in parts:
        if name == "colorize":
            y = Decolorize(img_size=size).A(y)
            texts.append(name)
        elif name in BLURS:
            text = f"{name}:{_scaled(level, picture.scale)},open"
            blur = make_physics(text, size)
            assert isinstance(blur, OpenBlur)
            trusted = blur.trusted
            band = max(band, int((trusted[0, 0, picture.side // 2] == 0).sum()) // 2)
            seen = seen * trusted
            texts.append(text)
        elif name in HOLES:
            physics = make_physics(f"{name}:{level}", size, seed)
            assert isinstance(physics, Inpainting)
            seen = seen * physics.get_buffer("mask")[:, :1]
    sigma = ROUNDING
    noises = [(name, level) for name, level in parts if name.startswith("denoise")]
    if noises:
        name, level = noises[0]
        sigma = float(level) if level else max(1e-3, estimate_noise(y).max().item())
    steps = picture.steps
    for name, level in parts:
        if name == "jpeg" and level and steps is None:
            steps = Steps.of_quality(int(level))
    channels = y.shape[1]
    holes = bool((seen == 0).any()) and not (
        band and picture.known is None and not any(n in HOLES for n in names)
    )
    if steps is not None and not holes:
        steps = believed(steps, y, picture.offset)
        spread = 12 * (255 * sigma) ** 2
        steps = Steps(
            (steps.luma**2 + spread).sqrt(), (steps.chroma**2 + spread).sqrt(), steps.coarser
        )
        tensors["steps"] = torch.stack([steps.luma, steps.chroma])
        a, l = picture.offset
        texts.append(f"jpeg-file:{a},{l},{steps.coarser[0]},{steps.coarser[1]},{band}")
        sigma = JPEGCoefficients((channels, *size[1:]), steps, picture.offset).sigma
    elif bool((seen == 0).any()):
        tensors["seen"] = seen
        texts.append("mask:seen")
    exact = holes and not noises and set(names) <= set(HOLES) and first is None
    if first is not None:
        texts.insert(0, first)
    if not exact:
        texts.append(f"denoise:{sigma:.4g}")
    made = Task("+".join(texts), img_size, seed, tensors)
    physics = made.physics()
    last = operators_of(physics)[-1]
    if isinstance(last, Inpainting | JPEGCoefficients):
        y = last.A(y)
    note(f"the photo is taken as {made.text}")
    return Problem(physics, y, task=made, approximate=True)


def _scaled(level: str, factor: float) -> str:
    length, _, angle = level.partition(",")
    return f"{float(length) * factor:.4g}" + (f",{angle}" if angle else "")


def _enlargement(picture, parts, size, note):
    given = 1.0
    for name, level in parts:
        if name in ("superres", "superres-avg") and level:
            given *= float(level)
    if picture.side > 1.01 * size / given:
        picture = picture.resized(round(size / given))
    if picture.side == size:
        return picture, None
    return picture, f"superres:{size / picture.side:.6g}"
