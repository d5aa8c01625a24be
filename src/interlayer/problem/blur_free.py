"""Blur of no known shape, as of a camera that shook: its kernel from the photo alone."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import label
from torch import Tensor

from interlayer.errors import InputError
from interlayer.problem.blur_level import grey_of
from interlayer.problem.blur_level_spectrum import spectrum_of

LEAST_SIDE = 128  # of a photo whose kernel is estimated
_SIDE = 512  # of the middle of a photo that is looked at
_STEP = 2**0.5  # from each size of the photo to the next
_COARSEST = 3  # pixels of the kernel
# Price of a pixel with a gradient, of squared errors; weight of the kernel's squares; rounds.
_TERMS = ((1e-3, 0.5, 5), (4e-3, 2.0, 5), (2e-4, 8.0, 10))
_EDGES, _SMOOTH, _FINE_ROUNDS = 1e-3, 0.5, 4
_FINE_EDGES = 1e-4
_SPARSITY, _STEPS = 2.0, 60  # see `Spectrum.nearest_kernel`
_FAINT, _STRAY = 0.05, 0.1  # of the largest entry; of the sum, for a part that lies apart


@torch.no_grad()
def estimate_kernel(
    y: Tensor, largest: int = 31, known: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    r"""Kernel (1, 1, k, k) of the blur of a photo, of sum 1, its centre of mass in the middle.

    From coarse to fine, an image with few edges and a kernel are fitted in turn:

    .. math::
        x = \arg\min_x \|k * x - y\|^2 + \lambda \|\nabla x\|_0, \quad
        k = \arg\min_k \|k * \nabla x - \nabla y\|^2 + \gamma \|k\|^2, \; k \ge 0

    That finds the kernel's phases, and roughly its modulus, which the photo's spectrum then tells
    better, see `Spectrum.nearest_kernel`; both are repeated in turn. A photo with few edges is not
    enough, and what comes out for it is no kernel of its blur: docs/photos.md says how often.

    Args:
        y: photo (1, 3, H, W) or (1, 1, H, W) in [0, 1].
        largest: upper bound of k, odd.
        known: pixels (1, 1, H, W) that were measured, all if ``None``.
        steps: quantisation steps (8, 8) of a JPEG file, as for `estimate_blur`.

    Raises:
        InputError: if a side is below 128 pixels, or pixels of no large enough part are known.

    References: Xu, Zheng and Jia, Unnatural L0 sparse representation for natural image deblurring,
    CVPR 2013; Goldstein and Fattal, Blur-kernel estimation from spectral irregularities, ECCV 2012.
    """
    grey = grey_of(y)
    intact = torch.ones_like(grey, dtype=torch.bool) if known is None else known[0, 0]
    spectrum = spectrum_of(grey, intact, steps) if min(grey.shape) >= LEAST_SIDE else None
    if spectrum is None:
        raise InputError(
            f"a blur of any shape is estimated from at least {LEAST_SIDE}x{LEAST_SIDE} intact "
            "pixels, which this photo does not have; give its kernel, as in deblur:kernel.png"
        )
    height, width = grey.shape
    rows, columns = (slice(max(0, (n - _SIDE) // 2), (n + _SIDE) // 2) for n in (height, width))
    middle = grey[rows, columns].float()
    whole = _periodic(middle, largest)

    def told_by_spectrum(kernel: Tensor) -> tuple[float, Tensor]:
        kernel = _centred(spectrum.nearest_kernel(kernel, _SPARSITY, _STEPS))
        return _roughness(whole, kernel), kernel

    starts = [_from_coarse_to_fine(middle, largest, terms) for terms in _TERMS]
    least, kernel = best = min(map(told_by_spectrum, starts), key=lambda each: each[0])
    for _ in range(_FINE_ROUNDS):
        for _ in range(2):
            kernel = _kernel_between(
                _with_few_edges(whole, kernel, _EDGES), whole, largest, _SMOOTH
            )
        found = told_by_spectrum(kernel)
        kernel = found[1]
        best = min(best, found, key=lambda each: each[0])
    return best[1][None, None]


def _roughness(y: Tensor, kernel: Tensor) -> float:
    """Total variation of the photo without its blur, which a wrong kernel makes ring."""
    gx, gy = _gradients(_with_few_edges(y, kernel, _FINE_EDGES))
    return (gx.abs() + gy.abs()).sum().item()


def _from_coarse_to_fine(y: Tensor, largest: int, terms: tuple[float, float, int]) -> Tensor:
    edges, smooth, rounds = terms
    levels = math.floor(math.log(largest / _COARSEST, _STEP))
    kernel = torch.zeros(_COARSEST, _COARSEST)
    kernel[1, 1:] = 0.5
    for factor in (_STEP**-k for k in range(levels, -1, -1)):
        size = max(_COARSEST, round(largest * factor) // 2 * 2 + 1)
        small = [max(size, round(side * factor)) for side in y.shape]
        whole = _periodic(_resized(y, small), size)
        kernel = _resized(kernel, [size, size]).clamp_min(0)
        kernel = kernel / kernel.sum()
        for _ in range(rounds):
            kernel = _kernel_between(_with_few_edges(whole, kernel, edges), whole, size, smooth)
    return kernel


def _with_few_edges(y: Tensor, kernel: Tensor, price: float) -> Tensor:
    """The image (H, W) with few edges, by half-quadratic splitting with ever larger weights."""
    blur, across, down = (_transform(k, y.shape) for k in (kernel, _DIFFERENCE, _DIFFERENCE.T))
    matched = blur.conj() * torch.fft.rfft2(y)
    power, slopes = blur.abs().square(), across.abs().square() + down.abs().square()
    x, weight = y, 2 * price
    while weight < 1e5:
        gx, gy = _gradients(x)
        edges = gx.square() + gy.square() >= price / weight
        pulled = across.conj() * torch.fft.rfft2(gx * edges)
        pulled = pulled + down.conj() * torch.fft.rfft2(gy * edges)
        x = torch.fft.irfft2((matched + weight * pulled) / (power + weight * slopes), s=y.shape)
        weight *= 2
    return x


def _kernel_between(x: Tensor, y: Tensor, size: int, smooth: float) -> Tensor:
    """The kernel (size, size) that makes gradients of y of those of x."""
    correlation = power = torch.zeros(())
    for sharp, blurred in zip(_gradients(x), _gradients(y), strict=True):
        transform = torch.fft.rfft2(sharp)
        correlation = correlation + transform.conj() * torch.fft.rfft2(blurred)
        power = power + transform.abs().square()
    kernel = torch.fft.irfft2(correlation / (power + smooth), s=y.shape)
    kernel = kernel.roll((size // 2, size // 2), (0, 1))[:size, :size]
    kernel = kernel.where(kernel >= _FAINT * kernel.max(), 0)
    parts, count = label(kernel.numpy() > 0, np.ones((3, 3)))  # pyright: ignore
    for part in range(1, count + 1):
        there = torch.from_numpy(parts == part)
        if kernel[there].sum() < _STRAY * kernel.sum():
            kernel = kernel.where(~there, 0)
    return _centred(kernel / kernel.sum())


_DIFFERENCE = torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]])


def _gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and to the lower neighbour."""
    return x.roll(-1, 1) - x, x.roll(-1, 0) - x


def _transform(kernel: Tensor, shape: torch.Size) -> Tensor:
    """Fourier transform of a kernel whose middle is the origin."""
    height, width = kernel.shape
    around = torch.zeros(shape)
    around[:height, :width] = kernel
    return torch.fft.rfft2(around.roll((-(height // 2), -(width // 2)), (0, 1)))


def _centred(kernel: Tensor) -> Tensor:
    """The kernel, shifted by whole pixels such that its centre of mass is in the middle."""
    places, middle = torch.arange(len(kernel)).to(kernel), len(kernel) // 2
    centre = [(kernel.sum(1 - axis) * places).sum().item() for axis in (0, 1)]
    return kernel.roll([middle - round(each) for each in centre], (0, 1))


def _periodic(y: Tensor, band: int) -> Tensor:
    """The photo, fading at its edges into its local mean, so that they go on at the opposite."""
    window = torch.ones_like(y)
    for axis, side in enumerate(y.shape):
        ends = (torch.arange(side) + 1).minimum(torch.arange(side, 0, -1)) / (band // 2 + 1)
        window = window * ends.clamp(max=1).unsqueeze(1 - axis)
    wide = (2 * band + 1, 2 * band + 1)
    around = F.pad(y[None, None], (band,) * 4, mode="circular")
    return y * window + F.avg_pool2d(around, wide, 1)[0, 0] * (1 - window)


def _resized(picture: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(picture[None, None], size, mode="bicubic", antialias=True)[0, 0]
