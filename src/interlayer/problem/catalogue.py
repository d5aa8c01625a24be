"""The catalogue of tasks: the operator, noise or sensor of each name, made from its level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from deepinv.physics import BlurFFT, Decolorize, NoiseModel, Physics
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.faces import Square
from interlayer.media.files import naming_file
from interlayer.media.masks import read_mask, resize_mask
from interlayer.problem.blur import (
    OpenBlur,
    disc_kernel,
    gaussian_kernel,
    motion_kernel,
    read_kernel,
)
from interlayer.problem.circulant import PartialCirculant
from interlayer.problem.facts import is_random_projection, picture_size
from interlayer.problem.from_file import physics_from_file
from interlayer.problem.gaussian import GaussianMatrix
from interlayer.problem.jpeg_coefficients import JPEGCoefficients, Steps
from interlayer.problem.masks import box_mask, half_mask, inpainting, random_mask
from interlayer.problem.noise import DeadPixels, SeededGaussianNoise, SeededPoissonNoise
from interlayer.problem.nonlinear import JPEG, Magnitudes
from interlayer.problem.quantiser import UniformQuantiser
from interlayer.problem.resampling import BicubicDownsampling, BlockAverage
from interlayer.problem.views import TurnedView

TASKS = {
    "inpaint:P": "a random fraction P of the pixels is known (0 < P <= 1)",
    "mask:FILE": "the white pixels of a mask picture are known",
    "box:P": "a box in the middle is missing, a fraction P of the image (0 < P < 1)",
    "half:SIDE": "the left, right, top or bottom half is missing",
    "superres:K": "the image is K times smaller, bicubic (1 < K <= 128)",
    "superres-avg:K": "each pixel is the mean of K x K (2 <= K <= 64, K divides the size)",
    "circulant:P": "P n random measurements of a circulant matrix, n = 3 x size² (0 < P <= 1)",
    "gaussian:M": "M random measurements by a matrix of independent Gaussians (1 <= M <= n)",
    "phase:P": "as circulant:P, but without the signs",
    "deblur:SIGMA": "Gaussian blur of SIGMA pixels (0 < SIGMA <= 64), or a kernel, deblur:FILE",
    "defocus:RADIUS": "blur by a disc of RADIUS pixels, of a lens out of focus (0 < RADIUS <= 64)",
    "motion:LENGTH,ANGLE": "a straight smear of LENGTH pixels at ANGLE degrees",
    "colorize": "only the brightness is known (Rec. 601)",
    "jpeg:Q": "JPEG of quality Q, colours at full resolution (1 <= Q <= 95)",
    "jpeg-file:GRID": "the coefficients of a JPEG file, as --measured reads them",
    "view:SQUARE": "a turned square of a photo, as --measured --align reads it",
    "quantize:BITS": "measurements rounded to 2^BITS levels (1 <= BITS <= 8)",
    "denoise:S": "Gaussian noise of standard deviation S, for images in [0, 1] (0 < S <= 10)",
    "denoise-poisson:GAIN": "photon noise, GAIN per photon, for images in [0, 1] (0 < GAIN <= 10)",
    "denoise-bernoulli:P": "a random fraction P of the pixels is black, unknown which (0 < P < 1)",
    "FILE.py:FUNCTION": "an operator of your own: the file is run, FUNCTION(img_size) is called",
}
OPEN = ",open"  # after the level of a blur: unlike on a torus, the picture goes on at its edges
JPEG_STEPS, SEEN = "steps", "seen"  # tensors of tasks that were read from photos
BEYOND_EDGES = 0.01  # error of pixels that see what lies beyond the edges
KERNEL_FILES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".webp")
IMAGE_RMS = 0.5  # of the images that quantisers of random measurements are made for


@dataclass(frozen=True)
class Part:
    """One ``name:level`` of a task, and the images that it works on.

    Attributes:
        name: text before the first colon.
        level: text after it.
        size: shape (C, H, W) of the images that it, or the operator before it, takes.
        seed: seed of everything random in it.
        tensors: tensors to use instead of reading the files that they are keyed by.
    """

    name: str
    level: str
    size: tuple[int, ...]
    seed: int
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def height(self) -> int:
        return self.size[-2]

    @property
    def width(self) -> int:
        return self.size[-1]

    @property
    def least_side(self) -> int:
        return min(self.size[-2:])

    def wrong(self, what: str) -> InputError:
        """The error for a level that does not suit, with the form that it should have."""
        form = next(form for form in TASKS if form.partition(":")[0] == self.name)
        text = f"{self.name}:{self.level}" if self.level else self.name
        return InputError(f"{text!r} does not work: {what} ({form} means: {TASKS[form]})")

    def number(self, above: float, below: float | None = None, up_to: float | None = None) -> float:
        """The level as a number in (above, below) or (above, up_to]."""
        return self.parse(self.level, above, below, up_to)

    def parse(self, text: str, above: float, below: float | None, up_to: float | None) -> float:
        """Part of the level as a number in a range; for whole numbers see `whole`."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if below is not None and not above < value < below:
            raise self.wrong(f"{text!r} must be a number above {above:g} and below {below:g}")
        if up_to is not None and not above < value <= up_to:
            raise self.wrong(f"{text!r} must be a number above {above:g} and at most {up_to:g}")
        return value

    def whole(self, least: int, most: int) -> int:
        """The level as a whole number from ``least`` to ``most``."""
        if not self.level.isdecimal() or not least <= int(self.level) <= most:
            raise self.wrong(f"{self.level!r} must be a whole number from {least} to {most}")
        return int(self.level)

    def rng(self) -> torch.Generator:
        """A generator with the part's seed."""
        return torch.Generator().manual_seed(self.seed)


def _inpaint(part: Part) -> Physics:
    fraction = part.number(above=0, up_to=1)
    return inpainting(part.size, random_mask(part.height, part.width, fraction, part.rng()))


def _mask(part: Part) -> Physics:
    mask = part.tensors.get(part.level)
    if mask is None:
        path = Path(part.level)
        known = read_mask(path, "known").known
        with naming_file(path):
            mask = resize_mask(known, part.height, part.width).float()
    if mask.shape != (1, 1, part.height, part.width):
        raise part.wrong(f"the mask must be {part.width}x{part.height}, like the image")
    physics = inpainting(part.size, mask)
    return _made_of(physics, part.level, mask)


def _box(part: Part) -> Physics:
    return inpainting(part.size, box_mask(part.height, part.width, part.number(above=0, below=1)))


def _half(part: Part) -> Physics:
    if part.level not in ("left", "right", "top", "bottom"):
        raise part.wrong("the side must be left, right, top or bottom")
    return inpainting(part.size, half_mask(part.height, part.width, part.level))


def _superres(part: Part) -> Physics:
    return BicubicDownsampling(part.size, part.number(above=1, up_to=128))


def _superres_avg(part: Part) -> Physics:
    factor = part.whole(2, 64)
    if any(side % factor for side in part.size[-2:]):
        raise part.wrong(f"the size is {part.width}x{part.height}, which {factor} does not divide")
    return BlockAverage(part.size, factor)


def _circulant(part: Part) -> PartialCirculant:
    n = torch.Size(part.size).numel()
    m = max(1, round(part.number(above=0, up_to=1) * n))
    return PartialCirculant(part.size, m, seed=part.seed)


def _gaussian(part: Part) -> Physics:
    m = part.whole(1, torch.Size(part.size).numel())
    return GaussianMatrix(part.size, m, seed=part.seed)


def _deblur(part: Part) -> Physics:
    level = part.level.removesuffix(OPEN)
    if level in part.tensors or is_kernel(level):
        return _kernel_from_file(part, level)
    sigma = part.parse(level, 0, None, up_to=64)
    return _blurred(part, gaussian_kernel(sigma, largest=part.least_side))


def is_kernel(level: str) -> bool:
    """Whether the level of a blur is a picture of its kernel."""
    return level.lower().endswith(KERNEL_FILES)


def _kernel_from_file(part: Part, file: str) -> Physics:
    kernel = part.tensors.get(file)
    if kernel is None:
        kernel = read_kernel(Path(file))
    if kernel.shape[-1] > part.least_side:
        raise part.wrong(f"the kernel of {kernel.shape[-1]} pixels is larger than the image")
    return _made_of(_blurred(part, kernel), file, kernel)


def _defocus(part: Part) -> Physics:
    radius = part.parse(part.level.removesuffix(OPEN), 0, None, up_to=64)
    return _blurred(part, disc_kernel(radius, largest=part.least_side))


def _motion(part: Part) -> Physics:
    length, _, angle = part.level.removesuffix(OPEN).partition(",")
    # The kernel is odd and no larger than the image.
    pixels = part.parse(length, 0, None, up_to=(part.least_side - 1) // 2 * 2 + 1)
    degrees = part.parse(angle, -361, 361, None)
    return _blurred(part, motion_kernel(pixels, degrees))


def _blurred(part: Part, kernel: Tensor) -> Physics:
    """Blur of a torus, for simulation; of a picture that was cut out of a scene, where asked."""
    if part.level.endswith(OPEN):
        return OpenBlur(part.size, kernel)
    return BlurFFT(part.size, filter=kernel)


def _colorize(part: Part) -> Physics:
    if part.level:
        raise part.wrong("it has no level")
    return Decolorize(img_size=_coloured(part))


def _jpeg(part: Part) -> Physics:
    _coloured(part)
    return JPEG(part.whole(1, 95))


def _coloured(part: Part) -> tuple[int, ...]:
    if part.size[0] != 3:
        raise part.wrong("it takes coloured pictures")
    return part.size


def _jpeg_file(part: Part) -> Physics:
    above, left, band = (int(number) for number in part.level.split(","))
    table = part.tensors[JPEG_STEPS]
    doubt = torch.full((1, 1, part.height, part.width), BEYOND_EDGES)
    doubt[..., band : part.height - band, band : part.width - band] = 0
    seen = part.tensors.get(SEEN)
    physics = JPEGCoefficients(part.size, Steps(table[0], table[1]), (above, left), doubt, seen)
    made = {JPEG_STEPS: table} | ({} if seen is None else {SEEN: seen})
    physics.made_of = made  # pyright: ignore[reportArgumentType]
    return physics


def _view(part: Part) -> Physics:
    side, *places = map(float, part.level.split(","))
    square = Square(complex(*places[:2]), complex(*places[2:]))
    return TurnedView(part.size, int(side), square)


def _made_of(physics: Physics, name: str, tensor: Tensor) -> Physics:
    """The operator with a note of the tensor from a file that it was made of."""
    physics.made_of = {name: tensor}  # pyright: ignore[reportArgumentType]
    return physics


def _file(part: Part) -> Physics:
    path, _, function = part.level.rpartition(":")
    return physics_from_file(Path(path), function, part.size, part.seed)


OPERATORS: dict[str, Callable[[Part], Physics]] = {
    "inpaint": _inpaint,
    "mask": _mask,
    "box": _box,
    "half": _half,
    "superres": _superres,
    "superres-avg": _superres_avg,
    "circulant": _circulant,
    "gaussian": _gaussian,
    "phase": lambda part: Magnitudes(_circulant(part)),
    "deblur": _deblur,
    "defocus": _defocus,
    "motion": _motion,
    "colorize": _colorize,
    "jpeg": _jpeg,
    "jpeg-file": _jpeg_file,
    "view": _view,
    "FILE.py": _file,
}


def _gaussian_noise(part: Part, measured_by: Physics) -> NoiseModel:
    return SeededGaussianNoise(part.number(above=0, up_to=10), rng=part.rng())


def _poisson_noise(part: Part, measured_by: Physics) -> NoiseModel:
    if is_random_projection(measured_by):
        raise part.wrong("these measurements can be negative, and numbers of photons cannot")
    return SeededPoissonNoise(part.number(above=0, up_to=10), clip_positive=True, rng=part.rng())


def _dead_pixels(part: Part, measured_by: Physics) -> NoiseModel:
    return DeadPixels(part.number(above=0, below=1), rng=part.rng())


NOISES: dict[str, Callable[[Part, Physics], NoiseModel]] = {
    "denoise": _gaussian_noise,
    "denoise-poisson": _poisson_noise,
    "denoise-bernoulli": _dead_pixels,
}


def quantiser(part: Part, measured_by: Physics) -> UniformQuantiser:
    """The quantiser of [0, 1] for pictures, else that for random measurements of usual images."""
    bits = part.whole(1, 8)
    if is_random_projection(measured_by):
        return UniformQuantiser.for_gaussian(bits, std=IMAGE_RMS * measured_by.row_norm)
    if picture_size(measured_by, part.size) is None:
        raise part.wrong("the range of what is measured before it is not known")
    return UniformQuantiser(bits)
