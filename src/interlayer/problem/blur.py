"""Blur kernels, for deepinv's `BlurFFT`, and blur of a picture that goes on beyond its edges."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError
from interlayer.media.images import read_image
from interlayer.problem.linear import MatrixFree, replicate_transposed

LARGEST_KERNEL = 255
OUTSIDE = 0.1  # share of a kernel beyond the edge that is let pass


class OpenBlur(MatrixFree):
    """Blur of a picture that was cut out of a larger scene, whose edge pixels go on beyond it.

    Periodic blur mixes opposite edges, which no camera does. What truly lay beyond the edges is
    unknown, so that pixels within the kernel's reach of them are best not believed, see
    `trusted`.

    Args:
        img_size: shape (C, H, W) of the image.
        kernel: kernel (1, 1, k, k) of sum 1, k odd.
        **kwargs: arguments of `deepinv.physics.LinearPhysics`.

    >>> physics = OpenBlur((1, 8, 8), torch.full((1, 1, 3, 3), 1 / 9))
    >>> bool((physics.A(torch.ones(1, 1, 8, 8)) - 1).abs().max() < 1e-6)
    True
    """

    spectrum: Tensor

    def __init__(self, img_size: tuple[int, ...], kernel: Tensor, **kwargs) -> None:
        from scipy.fft import next_fast_len

        super().__init__(img_size=tuple(img_size), **kwargs)
        height, width = img_size[-2:]
        self.kernel, self.size, self.reach = kernel, (height, width), kernel.shape[-1] // 2
        padded = (height + 2 * self.reach, width + 2 * self.reach)
        self.lengths = [int(next_fast_len(side, real=True) or side) for side in padded]
        around = torch.zeros(self.lengths)
        around[: kernel.shape[-2], : kernel.shape[-1]] = kernel[0, 0]
        around = around.roll((-self.reach, -self.reach), (0, 1))
        self.register_buffer("spectrum", torch.fft.rfft2(around))

    @property
    def bands(self) -> tuple[int, int]:
        """Rows and columns at the edges at which over a tenth of the kernel lies outside."""
        across, along = (self._band(axis) for axis in (0, 1))
        return across, along

    @property
    def band(self) -> int:
        """The larger of `bands`."""
        return max(self.bands)

    @property
    def trusted(self) -> Tensor:
        """The pixels (1, 1, H, W), ones, that see next to nothing beyond the edges."""
        (rows, columns), (height, width) = self.bands, self.size
        trusted = torch.zeros(1, 1, height, width)
        trusted[..., rows : height - rows, columns : width - columns] = 1
        return trusted

    def _band(self, axis: int) -> int:
        share = self.kernel[0, 0].sum(1 - axis).cumsum(0)  # of the kernel up to each place
        before = int((share <= OUTSIDE).sum())
        after = int((share < 1 - OUTSIDE).sum())
        return min(max(self.reach - before, after - self.reach, 0), self.size[axis] // 4)

    def _product(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (self.reach,) * 4, mode="replicate")
        return self._filtered(padded, self.spectrum)[..., self._inner[0], self._inner[1]]

    def _transposed_product(self, y: Tensor) -> Tensor:
        pads = (self.reach, self.reach, self.reach, self.reach)
        return replicate_transposed(self._filtered(F.pad(y, pads), self.spectrum.conj()), pads)

    @property
    def _inner(self) -> tuple[slice, slice]:
        """Rows and columns of the picture within the padded one."""
        height, width = (slice(self.reach, self.reach + side) for side in self.size)
        return height, width

    def _filtered(self, padded: Tensor, spectrum: Tensor) -> Tensor:
        """The padded picture times a spectrum, which is large enough that nothing wraps round."""
        height, width = padded.shape[-2:]
        product = torch.fft.rfft2(padded, s=self.lengths) * spectrum
        return torch.fft.irfft2(product, s=self.lengths)[..., :height, :width]


def gaussian_kernel(sigma: float, largest: int) -> Tensor:
    """A Gaussian (1, 1, k, k) of sum 1, cut at 4 standard deviations.

    Args:
        sigma: standard deviation in pixels.
        largest: upper bound of k, which is odd.

    >>> gaussian_kernel(1.0, largest=64).shape
    torch.Size([1, 1, 9, 9])
    """
    reach = min(math.ceil(4 * sigma), (largest - 1) // 2)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    profile = torch.softmax(-offsets.square() / (2 * sigma**2), dim=0)
    return torch.outer(profile, profile).float()[None, None]


def disc_kernel(radius: float, largest: int) -> Tensor:
    """A disc (1, 1, k, k) of sum 1, the blur of a lens out of focus.

    A pixel holds the share of it that lies within the radius.

    Args:
        radius: radius in pixels.
        largest: upper bound of k, which is odd.

    >>> disc_kernel(1.5, largest=64)[0, 0, 1]
    tensor([0.1386, 0.1419, 0.1386])
    """
    reach = min(math.ceil(radius - 0.5), (largest - 1) // 2)
    fine = 16  # points along the side of a pixel
    points = (torch.arange((2 * reach + 1) * fine, dtype=torch.float64) + 0.5) / fine - reach - 0.5
    inside = points[:, None].square() + points.square() <= max(radius, 0.5) ** 2
    kernel = F.avg_pool2d(inside.double()[None, None], fine)
    return (kernel / kernel.sum()).float()


def motion_kernel(length: float, angle: float) -> Tensor:
    """A straight line (1, 1, k, k) of sum 1 through the middle, the blur of steady motion.

    Args:
        length: length of the line in pixels, at least 1.
        angle: angle in degrees, anticlockwise from the horizontal.

    >>> motion_kernel(3, 0)[0, 0]
    tensor([[0.0000, 0.0000, 0.0000],
            [0.3333, 0.3333, 0.3333],
            [0.0000, 0.0000, 0.0000]])
    """
    reach = math.ceil((length - 1) / 2)
    # The share of the line within each pixel, from points spread evenly along it.
    samples = 32 * math.ceil(length)
    along = ((torch.arange(samples, dtype=torch.float64) + 0.5) / samples - 0.5) * length
    turn = math.radians(angle)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    columns, rows = (
        ((along[:, None] * slope).round() == offsets).double()
        for slope in (math.cos(turn), -math.sin(turn))
    )
    kernel = rows.T @ columns
    return (kernel / kernel.sum()).float()[None, None]


def read_kernel(path: Path) -> Tensor:
    """Read a kernel (1, 1, k, k) of sum 1 from a grey picture of it, black being 0.

    A picture that is not odd and square is laid on black, its middle in the middle.

    Raises:
        InputError: if the file is no picture, all black, or has more than 255 pixels a side.
    """
    values = read_image(path).mean(1, keepdim=True)
    height, width = values.shape[-2:]
    side = max(height, width) | 1
    if side > LARGEST_KERNEL or not values.any():
        raise InputError(
            f"{path} is no blur kernel: give a grey picture on black, of at most "
            f"{LARGEST_KERNEL} pixels a side"
        )
    above, left = (side - height) // 2, (side - width) // 2
    kernel = F.pad(values, (left, side - width - left, above, side - height - above))
    return kernel / kernel.sum()


def scaled_kernel(kernel: Tensor, factor: float) -> Tensor:
    """The kernel (1, 1, k, k) of the same blur in a picture that is ``factor`` times as large.

    >>> scaled_kernel(gaussian_kernel(4.0, 64), 0.5).shape, gaussian_kernel(2.0, 64).shape
    (torch.Size([1, 1, 17, 17]), torch.Size([1, 1, 17, 17]))
    """
    if factor == 1:
        return kernel
    side = max(1, round(kernel.shape[-1] * factor)) | 1
    scaled = F.interpolate(kernel, (side, side), mode="bicubic", antialias=True).clamp_min(0)
    return scaled / scaled.sum()
