"""Estimation of a photo's unknown blur from the photo alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError
from interlayer.problem.blur import disc_kernel, gaussian_kernel, motion_kernel
from interlayer.problem.blur_level_spectrum import SIDE, Spectrum, spectrum_of
from interlayer.problem.jpeg_coefficients import Steps

Shape = Literal["none", "gaussian", "disc", "line"]

_LUMA = (0.299, 0.587, 0.114)
LEAST_SIDE = 48
# Sizes that are told from a photo's own softness, in pixels: where the noise is no more than an
# 8-bit file's, so that the blur is seen to come last, and otherwise, in a photo of SIDE.
_FAINT = {"gaussian": 0.75, "disc": 1.5, "line": 2.5}
_PLAIN = {"gaussian": 1.65, "disc": 3.3, "line": 5.0}
_WIDEST = {"gaussian": 1 / 24, "disc": 1 / 16, "line": 1 / 10}  # of the shorter side
_BEYOND = 1.1  # times the widest, from which on a fit is of something else, such as scratches
_CLEAN = 2.5 / 12 / 255**2  # a noise floor that rounding to 8 bits may explain
_EVIDENCE = 15.0  # that a blur explains a spectrum better, as a logarithm of odds


@dataclass(frozen=True)
class Blur:
    """Blur of a known shape.

    Attributes:
        shape: "none", "gaussian", "disc" (a lens out of focus) or "line" (steady motion).
        size: standard deviation, radius or length in pixels of the picture.
        angle: degrees in [0, 180), anticlockwise from the horizontal, of a line.

    Raises:
        InputError: if the shape is unknown, the size is not positive (with a blur) or the angle is
            out of range.

    >>> print(Blur("line", 12, 30).scaled(0.5))
    smear of 6 px at 30 degrees
    """

    shape: Shape
    size: float = 0.0
    angle: float = 0.0

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise InputError(f"no blur '{self.shape}'; use one of {', '.join(get_args(Shape))}")
        if self.shape != "none" and not 0 < self.size < math.inf:
            raise InputError(f"a {self.shape} of {self.size} px is no blur; use a positive size")
        if not 0 <= self.angle < 180:
            raise InputError(f"{self.angle} degrees are not an angle in [0, 180)")

    def __str__(self) -> str:
        words = {
            "none": "no blur",
            "gaussian": f"Gaussian blur of {self.size:.3g} px",
            "disc": f"lens blur of {self.size:.3g} px",
            "line": f"smear of {self.size:.3g} px at {self.angle:.0f} degrees",
        }
        return words[self.shape]

    def kernel(self, largest: int) -> Tensor:
        """The blur as a kernel (1, 1, k, k) of sum 1.

        Args:
            largest: upper bound of k, which is odd.

        >>> Blur("disc", 2).kernel(largest=31).shape
        torch.Size([1, 1, 5, 5])
        """
        if self.shape == "gaussian":
            return gaussian_kernel(self.size, largest)
        if self.shape == "disc":
            return disc_kernel(self.size, largest)
        if self.shape == "line":
            kernel = motion_kernel(max(self.size, 1.0), self.angle)
            excess = max(0, len(kernel[0, 0]) // 2 - (largest - 1) // 2)
            inner = F.pad(kernel, [-excess] * 4)
            return inner / inner.sum()
        return torch.ones(1, 1, 1, 1)

    def scaled(self, factor: float) -> Blur:
        """The same blur in a picture that is ``factor`` times as large."""
        return replace(self, size=self.size * factor)

    def transfer(self, fx: Tensor, fy: Tensor) -> Tensor:
        """Fourier transform of the blur at frequencies in cycles a pixel, y upwards."""
        if self.shape == "gaussian":
            return (-2 * math.pi**2 * self.size**2 * (fx.square() + fy.square())).exp()
        if self.shape == "disc":
            z = 2 * math.pi * self.size * (fx.square() + fy.square()).sqrt()
            return torch.where(z > 0, 2 * torch.special.bessel_j1(z) / z, 1.0)
        if self.shape == "line":
            turn = math.radians(self.angle)
            return torch.sinc(self.size * (fx * math.cos(turn) + fy * math.sin(turn)))
        return torch.ones_like(fx)


def estimate_blur(
    y: Tensor,
    shapes: Sequence[str] = ("gaussian", "disc", "line"),
    known: Tensor | None = None,
    steps: Tensor | None = None,
) -> Blur:
    """Blur that was added to a sharp photo, from the photo's power spectrum.

    ``P(f) ~ S(f) |K(f)|² + N(f)``: spectra S of sharp photos are nearly a power law, the same
    whatever the scale, from which generated faces differ by little; N is a noise floor. The blur
    is the one with the most probable fit, of those that are told from a photo's own softness.

    Args:
        y: photo (1, 3, H, W) or (1, 1, H, W) in [0, 1]; "none" is the answer if a side is below
            48 px.
        shapes: shapes of the blur that may be; "none" always may.
        known: pixels (1, 1, H, W) that were measured, all if ``None``.
        steps: quantisation steps (8, 8) of the brightness in a JPEG file, in 255ths, rows being
            vertical frequencies; ``None`` for others. Frequencies that the file has not kept, which
            look blurred, are then not looked at.

    Raises:
        InputError: if a shape is unknown.

    Reference: Field, Relations between the statistics of natural images and the response
    properties of cortical cells, J. Opt. Soc. Am. A 4 (1987), for the power law.

    >>> estimate_blur(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    Blur(shape='none', size=0.0, angle=0.0)
    """
    for shape in shapes:
        if shape not in _WIDEST:
            raise InputError(f"no blur '{shape}'; use one of {', '.join(_WIDEST)}")
    grey = grey_of(y)
    side = min(grey.shape)
    if side < LEAST_SIDE:
        return Blur("none")
    counts = torch.ones_like(grey) if known is None else known[0, 0].to(grey)
    factor = min(1.0, SIDE / side)
    if factor < 1:
        grey, counts = (
            F.interpolate(part[None, None], scale_factor=factor, mode="bilinear", antialias=True)[
                0, 0
            ]
            for part in (grey, counts)
        )
        if steps is not None:  # pixels are averaged, and so are their errors
            steps = Steps(steps, steps).rescaled(factor).luma * factor
    spectrum = spectrum_of(grey, counts > 0.999, steps)
    if spectrum is None:
        return Blur("none")
    return _best(spectrum, shapes, side * factor).scaled(1 / factor)


def grey_of(y: Tensor) -> Tensor:
    """Luminance (H, W) in double precision."""
    picture = y[0].detach().cpu().double()
    if len(picture) != 3:
        return picture.mean(0)
    return torch.einsum("c,chw->hw", torch.tensor(_LUMA, dtype=torch.float64), picture)


def _best(spectrum: Spectrum, shapes: Sequence[str], side: float) -> Blur:
    """The most probable blur in a spectrum's pixels, none if it is not told from none."""
    found = []
    for shape in shapes:
        widest = side * _WIDEST[shape]
        if shape == "line":
            blur = _line_blur(spectrum, widest)
        else:
            blur = round_blur(spectrum, "disc" if shape == "disc" else "gaussian", widest)
        found.append((spectrum.explained_by(blur.transfer), blur))
    if not found:
        return Blur("none")
    fit, blur = min(found, key=lambda each: each[0].misfit)
    least = _FAINT[blur.shape]
    if fit.floor > _CLEAN:
        least = max(least, _PLAIN[blur.shape] * side / SIDE)
    gain = spectrum.explained_by(Blur("none").transfer).misfit - fit.misfit
    told = least < blur.size < _BEYOND * side * _WIDEST[blur.shape]
    return blur if gain > _EVIDENCE and told else Blur("none")


def round_blur(spectrum: Spectrum, shape: Literal["gaussian", "disc"], widest: float) -> Blur:
    """The most probable size on a grid of ratio 1.12, refined by a parabola through three."""
    least = _FAINT[shape] / 2
    steps = max(3, math.ceil(math.log(widest / least) / math.log(1.12)))
    sizes = [least * (widest / least) ** (k / steps) for k in range(steps + 1)]
    misfits = [spectrum.explained_by(Blur(shape, size).transfer).misfit for size in sizes]
    k = min(range(len(sizes)), key=misfits.__getitem__)
    if not 0 < k < steps:
        return Blur(shape, sizes[k])
    before, here, after = misfits[k - 1 : k + 2]
    bend = before - 2 * here + after
    shift = (before - after) / (2 * bend) if bend > 0 else 0.0
    return Blur(shape, sizes[k] * (widest / least) ** (shift / steps))


def _line_blur(spectrum: Spectrum, widest: float) -> Blur:
    """The most probable length and angle: a grid, then ever smaller steps from its three best."""

    def misfit(blur: Blur) -> float:
        return spectrum.explained_by(blur.transfer).misfit

    lengths = [2 * 1.2**k for k in range(math.ceil(math.log(max(widest, 4) / 2, 1.2)) + 1)]
    # The zeros of a long line are close together, so that its angle must be nearly right.
    turns = [max(12, math.ceil(length)) for length in lengths]
    grid = [
        Blur("line", length, 180 * k / count)
        for length, count in zip(lengths, turns, strict=True)
        for k in range(count)
    ]
    starts = sorted((misfit(blur), k) for k, blur in enumerate(grid))[:3]
    ends = []
    for value, k in starts:
        blur, ratio, turn = grid[k], 1.1, 90 / max(12, grid[k].size)
        while turn > 0.4:
            around = [
                Blur("line", blur.size * stretch, (blur.angle + angle) % 180)
                for stretch in (1 / ratio, 1, ratio)
                for angle in (-turn, 0, turn)
                if (stretch, angle) != (1, 0)
            ]
            nearest, j = min((misfit(each), j) for j, each in enumerate(around))
            if nearest < value:
                value, blur = nearest, around[j]
            else:
                ratio, turn = ratio**0.5, turn / 2
        ends.append((value, len(ends), blur))
    return min(ends)[2]
