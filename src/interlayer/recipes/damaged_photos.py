"""Photos that are measurements already: noisy, small, blurred, grey, scratched, compressed.

Nothing about a photo is exact. Its numbers were rounded by the camera, and again by JPEG; what lay
beyond its edges is unknown; a level that someone gives is a guess. All of that becomes part of the
problem, as a task that stands for the photo at its own size:

    superres:K          from the sizes: the image is K times as large as the photo
    view:SQUARE         instead, where the image is a turned square of the photo
    deblur:SIGMA,open   in pixels of the photo, with open edges; deblur:free,open with a kernel
                        that was estimated
    mask:seen           what the photo shows: no holes, nor edges that depend on what is beyond
    jpeg-file:GRID      in place of pixels the numbers in the file, whose errors are independent
    denoise:S           at least the rounding to 8 bits
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from deepinv.physics import Decolorize, Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.faces import Square, face_square, middle_square
from interlayer.media.masks import Meaning
from interlayer.media.photos import read_photo
from interlayer.methods.classical.filling import fill
from interlayer.problem.blur import read_kernel, scaled_kernel
from interlayer.problem.blur_free import estimate_kernel
from interlayer.problem.blur_level import LEAST_SIDE as LEAST_ESTIMATED
from interlayer.problem.blur_level import Blur, estimate_blur
from interlayer.problem.catalogue import OPEN, SEEN, is_kernel
from interlayer.problem.facts import edge_band, known_pixels, trusted_pixels
from interlayer.problem.jpeg_coefficients import BLOCK, JPEGCoefficients, Steps, believed
from interlayer.problem.linear import operators_of
from interlayer.problem.noise_level import estimate_noise
from interlayer.problem.problem import Problem
from interlayer.problem.stuck import stuck_pixels
from interlayer.problem.tasks import JPEG_STEPS, Task, make_physics, named_parts
from interlayer.problem.views import inside_of
from interlayer.recipes.cutouts import Cutout, Note, cut_out, intact_pixels, silently

ROUNDING = 1 / 255 / 12**0.5
LEAST_NOISE, VISIBLE_NOISE = 1e-3, 1.5 / 255
ENLARGING, HOLES = ("superres", "superres-avg"), ("inpaint", "box", "half")
MIXING = ("circulant", "gaussian", "phase")
SHAPES = {"deblur": ("gaussian", "disc"), "defocus": ("disc",), "motion": ("line",)}
FREE, LARGEST_FREE = "free", 31  # level of a blur of any shape; its pixels
NAMES = {"gaussian": "deblur", "disc": "defocus", "line": "motion"}
AGREED = math.log(1.2)  # within which a level that is given and one that is estimated agree
OWN = "FILE.py"
OTHER_SENSORS = ("denoise-poisson", "denoise-bernoulli", "quantize")
TURNED, STUCK, LEAST_STUCK = 8, 0.003, 128  # degrees; share of the pixels; side
CAUTION = 0.95  # of the width of a blur: 10 % too wide cost 0.6 dB, 10 % too narrow none
MISFIT = 2.0  # times the noise, from which on a residual that is seen is told


@dataclass(frozen=True)
class Parts:
    """The parts of a task, by what they do to a photo."""

    every: tuple[tuple[str, str], ...]

    def level(self, *names: str) -> str | None:
        """The level of the first part of one of these names; ``None`` where there is none."""
        return next((level for name, level in self.every if name in names), None)

    @property
    def enlargement(self) -> float:
        """The product of all factors given."""
        return math.prod(float(k) for name, k in self.every if name in ENLARGING and k)


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen of a cutout.

    Attributes:
        y: picture (1, C, s, s), grey where colours are lost.
        seen: mask (1, 1, s, s) of bool, pixels that are measured.
        shown: mask (1, 1, s, s) of bool, pixels that show the image and nothing beyond it.
        offset: rows and columns of the file above and left of it; ``None`` where it is turned.
        steps: quantisation of its JPEG file; ``None`` for others.
    """

    y: Tensor
    seen: Tensor
    shown: Tensor
    offset: tuple[int, int] | None
    steps: Steps | None


@dataclass(frozen=True, eq=False)
class Sensor:
    """The end of a task: what measures, and with which noise.

    Attributes:
        texts: operator that comes last; empty where every pixel is measured.
        noise: standard deviation, or parts that describe another noise.
        tensors: tensors that the operator is made of.
    """

    texts: tuple[str, ...]
    noise: float | str
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def noise_text(self) -> str:
        """The noise as a part of a task."""
        return self.noise if isinstance(self.noise, str) else f"denoise:{self.noise:.4g}"


@dataclass(frozen=True)
class Reading:
    """Choices in reading a photo that is measurements.

    Attributes:
        meaning: what white is in masks; ``None`` guesses, see `interlayer.media.masks.read_mask`.
        white: value that is white in a file with more than 8 bits; ``None`` guesses.
        face: number of the face that is cut out and turned, 0 being the largest; ``None`` takes the
            middle of the photo.
    """

    meaning: Meaning | None = None
    white: float | None = None
    face: int | None = None


class Measured(NamedTuple):
    """A photo (1, 3, H, W), the square of it that is measurements, and their problem."""

    problem: Problem
    photo: Tensor
    square: Square


def read_measured(
    path: Path,
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    note: Note | None = None,
    reading: Reading = Reading(),
) -> Measured:
    """Take the middle of a photo, or a face in it, as the measurements of a task.

    Args:
        path: the photo.
        task: task that describes how the photo came about, see `explain`; a ``mask:FILE`` in it
            is turned, resized and cut as the photo is.
        img_size: shape (3, H, W) of the image to recover.
        seed: seed of the operator.
        note: function that is called with one sentence for each thing assumed.
        reading: choices that are made, else guessed.

    Raises:
        InputError: if a file cannot be read or shows no such face, or as for `explain`.
    """
    say = note or silently
    photo = read_photo(path, reading.white)
    height, width = photo.x.shape[-2:]
    changes = [*photo.notes]
    if reading.face is None and height != width:
        changes.append(f"cropped to its central {min(height, width)}x{min(height, width)} square")
    if changes:
        say(f"{path.name}: {width}x{height} {', '.join(changes)}")
    known, rest = intact_pixels(photo, task, say, reading.meaning)
    square = None
    if reading.face is not None:
        square = face_square(fill(photo.x, known), reading.face)
    cutout = cut_out(photo, known, img_size[-1], square)
    problem = explain(cutout, rest, img_size, seed, say)
    assert problem.task is not None
    say(f"the photo is taken as {problem.task.text}")
    return Measured(problem, photo.x, square or middle_square(photo.x))


def explain(
    cutout: Cutout,
    task: str,
    img_size: tuple[int, ...],
    seed: int = 0,
    note: Note | None = None,
) -> Problem:
    """Take a square of a photo as the measurements of an image.

    What the photo tells need not be given: the factor of ``superres`` follows from the sizes, the
    width of ``deblur``, ``defocus`` and ``motion``, the noise of ``denoise`` and the steps of
    ``jpeg`` from the pixels and the file. Levels that are given are those of the photo at its own
    size; ``deblur:free`` is a blur of any shape up to 31 pixels. A blur is believed unless the
    photo's spectrum says otherwise, or ``,open`` follows it.

    Args:
        cutout: the square.
        task: parts as in `interlayer.problem.TASKS`; empty for a photo that is merely small or
            incomplete.
        img_size: shape (3, H, W) of the image to recover.
        seed: seed of the operator.
        note: function that is called with one sentence for each thing assumed.

    Raises:
        InputError: if a part is unknown or measures no picture, or its level is out of range or
            cannot be estimated.
    """
    say = note or silently
    parts = _checked(task, img_size)
    side = round(img_size[-1] / parts.enlargement)
    if cutout.side > side and cutout.view is None:
        cutout = cutout.reduced(side)
    if cutout.scale < 1:
        say(f"the photo is measured at {cutout.side}x{cutout.side} pixels")
    size = (3, cutout.side, cutout.side)
    y = cutout.y
    if parts.level("colorize") is not None:
        y = Decolorize(img_size=size).A(y)
    operators, kernels = _operators(parts, cutout, say)
    seen = cutout.known & _holes(parts, size, seed) & ~stuck_in(cutout.y, cutout.known, say)
    noise = _noise(parts, y, seen, cutout.scale, say)
    blurs = [make_physics(text, size, tensors=kernels) for text in operators if _blurs(text)]
    shown = _shown(cutout, max(map(edge_band, blurs), default=0))
    sight = Sight(y, seen & shown, shown, cutout.offset, _steps(parts, cutout))
    sensor = _sensor(sight, blurs, noise)
    enlarged = _enlarged(parts, cutout, img_size[-1])
    # Pixels of a photo that has nothing but holes are kept as they are.
    kept = sensor.texts == (f"mask:{SEEN}",) and not enlarged and not operators
    kept = kept and not isinstance(sensor.noise, str) and sensor.noise < VISIBLE_NOISE
    texts = [*enlarged, *operators, *sensor.texts, *([] if kept else [sensor.noise_text])]
    made = Task("+".join(texts), img_size, seed, {**kernels, **sensor.tensors})
    physics = made.physics()
    if sensor.texts:
        y = operators_of(physics)[-1].A(y)
    return Problem(physics, y, task=made, approximate=True)


def stuck_in(y: Tensor, known: Tensor, say: Note) -> Tensor:
    """Dead and hot pixels (1, 1, H, W), if there are so many that they are no accident."""
    stuck = stuck_pixels(y) & known
    share = stuck.float().mean().item()
    if share < STUCK or min(y.shape[-2:]) < LEAST_STUCK:
        return torch.zeros_like(stuck)
    say(f"{share:.1%} of the pixels are stuck at black or white; they are taken as missing")
    return stuck


def misfit_of(problem: Problem, x_hat: Tensor) -> float | None:
    """Root mean square of what an image leaves of the measurements, in units of their noise.

    Args:
        problem: measurements whose Gaussian noise is known.
        x_hat: image (1, 3, H, W) that is to explain them.

    Returns:
        About 1 where the model is right; ``None`` where the noise is not known.
    """
    if problem.noise.source != "known" or not problem.noise.sigma:
        return None
    left = problem.physics.A(x_hat) - problem.y
    if problem.measured is not None:
        left = left[problem.measured.expand_as(left)]
    return left.square().mean().sqrt().item() / problem.noise.sigma


def misfit_sentence(problem: Problem, x_hat: Tensor) -> str | None:
    """What to tell the user where a photo is not what its task says; ``None`` where it may be."""
    misfit = misfit_of(problem, x_hat)
    if misfit is None or misfit < max(MISFIT, VISIBLE_NOISE / (problem.noise.sigma or 1.0)):
        return None
    return (
        f"no image explains this photo: what is left of it is {misfit:.1f} times the noise; "
        "its blur, noise or tones are not as they are taken to be"
    )


def _checked(task: str, img_size: tuple[int, ...]) -> Parts:
    """The parts of a task, each of which a photo can be measured by."""
    every = tuple(named_parts(task)) if task else ()
    for name, level in every:
        if name in (*MIXING, "jpeg-file", "view"):
            raise InputError(
                f"{name!r} measures no square picture, so that a photo cannot be its measurements; "
                "use a task such as superres, denoise, deblur, colorize or mask:FILE"
            )
        if level and name != OWN and (name, level) != ("deblur", FREE):
            make_physics(f"{name}:{level}", img_size)  # refuses levels out of range
    return Parts(every)


def _operators(parts: Parts, cutout: Cutout, say: Note) -> tuple[list[str], dict[str, Tensor]]:
    """The operators of a task in pixels of the cutout, and kernels that come from files."""
    texts, kernels = list[str](), dict[str, Tensor]()
    for name, level in parts.every:
        if name == OWN:
            texts.append(level)
        elif name == "colorize":
            texts.append(name)
        elif name == "deblur" and level == FREE:
            say(
                "a blur of any shape is estimated, which takes half a minute, and fails for one "
                "photo in five: compare the result with the photo"
            )
            luma = _luma(parts, cutout)
            largest = max(3, round(LARGEST_FREE * cutout.scale) | 1)
            kernels[level] = estimate_kernel(cutout.y, largest, cutout.known, luma)
            texts.append(f"{name}:{level}{OPEN}")
        elif name in SHAPES and is_kernel(level):
            kernels[level] = scaled_kernel(read_kernel(Path(level)), cutout.scale)
            texts.append(f"{name}:{level}{OPEN}")
        elif name in SHAPES:
            blur = _blur(name, level, cutout, _luma(parts, cutout), say)
            if blur.shape != "none":
                turn = f",{blur.angle:.4g}" if blur.shape == "line" else ""
                texts.append(f"{NAMES[blur.shape]}:{blur.size:.4g}{turn}{OPEN}")
    return texts, kernels


def _blur(name: str, level: str, cutout: Cutout, luma: Tensor | None, say: Note) -> Blur:
    """The blur of a cutout: as given if the photo agrees, else as estimated."""
    size, _, angle = level.removesuffix(OPEN).partition(",")
    shape = SHAPES[name][0]
    if level.endswith(OPEN):
        return _as_cut(Blur(shape, float(size), float(angle or 0) % 180), cutout)
    found = estimate_blur(cutout.y, SHAPES[name], cutout.known, luma)
    seen = found.scaled(1 / cutout.scale)
    if not level:
        if cutout.side < LEAST_ESTIMATED:
            raise InputError(
                f"a photo of {cutout.side} pixels is too small for its blur to be estimated; "
                f"give it, as in {name}:2"
            )
        say(f"{seen} of the photo's pixels is estimated" if found.size else "no blur is found")
        return with_caution(found)
    given = _as_cut(Blur(shape, float(size), float(angle or 0) % 180), cutout)
    turned = abs((found.angle - given.angle + 90) % 180 - 90)
    agrees = abs(math.log(found.size / given.size)) < AGREED if found.size else True
    if found.shape == given.shape and not (agrees and turned <= TURNED):
        say(f"{name}:{level} was given, but the photo shows a {seen}, which is used")
        return with_caution(found)
    if cutout.scale < 1:
        say(f"{name}:{level} of the photo is {given} at {cutout.side} pixels")
    return given


def with_caution(blur: Blur) -> Blur:
    """A round blur that was estimated, a little narrower: one that is too wide costs far more."""
    return blur.scaled(CAUTION) if blur.shape in ("gaussian", "disc") else blur


def _as_cut(blur: Blur, cutout: Cutout) -> Blur:
    """A blur of the photo as it is in a cutout."""
    turn = cutout.turn if blur.shape == "line" else 0.0
    return Blur(blur.shape, blur.size * cutout.scale, (blur.angle + turn) % 180)


def _holes(parts: Parts, size: tuple[int, ...], seed: int) -> Tensor:
    """The pixels (1, 1, s, s) that the task's own masks leave."""
    left = torch.ones(1, 1, *size[1:], dtype=torch.bool)
    for name, level in parts.every:
        if name in HOLES:
            known = known_pixels(make_physics(f"{name}:{level}", size, seed))
            assert known is not None
            left = left & known[:, :1]
    return left


def _noise(parts: Parts, y: Tensor, seen: Tensor, scale: float, say: Note) -> float | str:
    """Standard deviation of the noise, or a part of the task that describes it."""
    other = [f"{n}:{level}" for n, level in parts.every if n in OTHER_SENSORS]
    if other:
        return "+".join(other)
    level = parts.level("denoise")
    if level is None:
        return ROUNDING
    if level:
        return max(ROUNDING, float(level) * scale)  # a smaller picture averages its pixels
    sigma = max(LEAST_NOISE, estimate_noise(y, seen).max().item())
    say(f"the noise is estimated, denoise:{sigma:.3g}")
    return sigma


def _steps(parts: Parts, cutout: Cutout) -> Steps | None:
    """The quantisation of the photo: the coarser one of the quality given and the file."""
    quality = parts.level("jpeg")
    if quality == "" and cutout.steps is None:
        raise InputError("the photo is no JPEG file; give the quality it once had, as in jpeg:50")
    if not quality:
        return cutout.steps
    given = Steps.of_quality(int(quality)).rescaled(cutout.scale)
    finer = cutout.steps is None or bool(cutout.steps.luma.sum() < given.luma.sum())
    return given if finer else cutout.steps


def _luma(parts: Parts, cutout: Cutout) -> Tensor | None:
    """The quantisation steps (8, 8) of the cutout's brightness, whose averages err less."""
    steps = _steps(parts, cutout)
    return None if steps is None else steps.luma * cutout.scale


def _shown(cutout: Cutout, band: int) -> Tensor:
    """The pixels (1, 1, s, s) that show the image and, blurred, nothing beyond it."""
    if cutout.view is None:
        return torch.ones_like(cutout.known)
    return inside_of(cutout.side, cutout.view, band)


def _sensor(sight: Sight, blurs: Sequence[Physics], noise: float | str) -> Sensor:
    """What measures a picture after its operators: a file's coefficients, a mask, or neither."""
    seen = sight.seen
    if sight.steps is not None and isinstance(noise, float):
        steps = believed(sight.steps, sight.y, sight.offset or (0, 0), seen)
        of_pixels = math.hypot(noise, steps.pixel_sigma)
        fine = of_pixels < VISIBLE_NOISE and not torch.equal(seen, sight.shown)
        if sight.offset is not None and not fine:
            return _file_sensor(sight, sight.offset, steps.widened(noise), blurs)
        noise = of_pixels
    for blur in blurs:
        trusted = trusted_pixels(blur)
        assert trusted is not None
        seen = seen & trusted
    if seen.all():
        return Sensor((), noise)
    return Sensor((f"mask:{SEEN}",), noise, {SEEN: seen.float()})


def _file_sensor(
    sight: Sight, offset: tuple[int, int], steps: Steps, blurs: Sequence[Physics]
) -> Sensor:
    """The coefficients of a file, those of edges that a blur gets wrong believed less."""
    band = max(map(edge_band, blurs), default=0) if sight.shown.all() else 0
    above, left = (place % BLOCK for place in offset)
    tensors = {JPEG_STEPS: torch.stack([*steps])}
    tensors |= {} if sight.seen.all() else {SEEN: sight.seen.float()}
    sigma = JPEGCoefficients(tuple(sight.y.shape[1:]), steps, offset).sigma
    return Sensor((f"jpeg-file:{above},{left},{band}",), sigma, tensors)


def _enlarged(parts: Parts, cutout: Cutout, size: int) -> list[str]:
    """The part of the task that makes the image as small as the photo shows it."""
    if cutout.view is not None:
        centre, axis = cutout.view
        places = (centre.real, centre.imag, axis.real, axis.imag)
        return [f"view:{cutout.side},{','.join(f'{place:.6g}' for place in places)}"]
    if cutout.side == size:
        return []
    factor = parts.level("superres-avg")
    if factor and cutout.side * int(factor) == size:
        return [f"superres-avg:{factor}"]
    return [f"superres:{size / cutout.side:.6g}"]


def _blurs(text: str) -> bool:
    return text.endswith(OPEN)
