"""Denoising by the collaborative filtering of similar patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from deepinv.models import BM3D
from deepinv.physics import Denoising, GaussianNoise, Inpainting, Physics
from deepinv.physics.noise import ZeroNoise
from torch import Tensor

from interlayer.errors import InputError
from interlayer.methods.classical.filling import fill
from interlayer.methods.classical.priors import split_rows

# Brightness and two differences of colours; orthonormal, so that white noise stays white.
_OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
_OPPONENT /= _OPPONENT.norm(dim=1, keepdim=True)
_STRIP, _MARGIN = 256, 32  # rows at a time, for the patches of an image take gigabytes
_SMALLEST = 32
_MEDIAN = 0.6745  # of |ε|, ε ~ N(0, 1)


@torch.no_grad()
def bm3d(physics: Physics, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """Denoise by BM3D: similar patches are filtered together, in an opponent colour space.

    deepinv's own implementation, with cosine transforms only. The noise is taken to be Gaussian, of
    the standard deviation that `noise_level` says.

    Args:
        physics: deepinv's `Denoising`, with any noise.
        y: noisy pictures (B, 3, H, W), of at least 32x32 pixels.
        weight: 1 for pixels that may be used, 0 for others, which are filled in first.

    Returns:
        Images (B, 3, H, W) in [0, 1].

    Raises:
        InputError: if the measurements are not the picture itself with noise.

    Reference: Dabov, Foi, Katkovnik, Egiazarian, IEEE Trans. Image Process. 16 (2007).

    >>> from interlayer.problem.tasks import make_physics
    >>> physics = make_physics("denoise:0.1", (3, 32, 32))
    >>> x = torch.full((1, 3, 32, 32), 0.4)
    >>> bool((bm3d(physics, physics(x)) - x).square().mean() < 0.1 * 0.1**2)
    True
    """
    if not isinstance(physics, Denoising) or y.shape[1] != 3 or min(y.shape[-2:]) < _SMALLEST:
        raise InputError(
            f"bm3d removes noise from coloured pictures of at least {_SMALLEST}x{_SMALLEST} "
            "pixels, which these measurements are not; use tv or wavelet"
        )
    noisy = y if weight is None else fill(y, weight > 0)
    images = [_denoised(image[None], noise_level(physics, image[None])) for image in noisy]
    return torch.cat(images).clamp(0, 1)


def _denoised(y: Tensor, sigma: float | None) -> Tensor:
    """One picture (1, 3, H, W), strip by strip."""
    if not sigma:
        return y
    filter_ = BM3D(
        use_legacy=False,
        device=y.device,
        search_step=2,
        ref_stride=4,
        chunk_size=256,
        spatial_ht_transform="dct",
        group_ht_transform="dct",
        group_wiener_transform="dct",
    )
    turn = _OPPONENT.to(y)
    colours = torch.einsum("ij,bjhw->bihw", turn, y)
    strips = list[Tensor]()
    for top in range(0, y.shape[-2], _STRIP):
        first = max(0, top - _MARGIN)
        strip = filter_(colours[..., first : top + _STRIP + _MARGIN, :], sigma)
        strips.append(strip[..., top - first : top - first + _STRIP, :])
    return torch.einsum("ij,bihw->bjhw", turn, torch.cat(strips, dim=-2))


def noise_level(physics: Physics, y: Tensor) -> float | None:
    """Standard deviation of the noise of y: the operator's own if Gaussian, 0 if there is none.

    For pictures with other noise it is estimated, see `estimate_noise`. Of anything else nothing
    is known.

    Args:
        physics: the forward operator with its noise model.
        y: measurements.

    Returns:
        A number in units of y; the mean where images of a batch have their own.

    >>> from interlayer.problem.tasks import make_physics
    >>> physics = make_physics("circulant:0.5+denoise:0.25", (3, 8, 8))
    >>> noise_level(physics, physics(torch.rand(1, 3, 8, 8)))
    0.25
    """
    noise = physics.noise_model
    if isinstance(noise, GaussianNoise):
        return noise.get_buffer("sigma").mean().item()
    if noise is None or isinstance(noise, ZeroNoise):
        return 0.0
    if y.ndim != 4 or isinstance(physics, Inpainting):
        return None
    return estimate_noise(y).mean().item()


def estimate_noise(y: Tensor) -> Tensor:
    """Standard deviation (B,) of white noise in pictures, from their finest diagonal wavelets.

    ``median |d| / 0.6745``, the median of ``|ε|`` for ``ε ~ N(0, 1)``: where most of a picture is
    smooth, its finest coefficients ``d`` are noise. Only the half of them whose surroundings are
    nearest to mid-grey count, for a file clips the noise of what is black or white. Fine texture
    counts as noise too.

    Args:
        y: pictures (B, C, H, W) with sides that are even and at least 16.

    Reference: Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage, Biometrika 81
    (1994).

    >>> noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> round(estimate_noise(0.5 + 0.1 * noise).item(), 2)
    0.1
    """
    finest = split_rows(split_rows(y).mT)[..., y.shape[-1] // 2 :, y.shape[-2] // 2 :].mT
    # A coefficient sees 8x8 pixels, the first of which has twice its row and column.
    around = F.avg_pool2d(F.pad(y, (0, 6, 0, 6), "circular"), 8, stride=2)
    far = (around - 0.5).abs().flatten(1)
    clipped = far > far.median(1, keepdim=True).values
    size = finest.abs().flatten(1).masked_fill(clipped, torch.nan)
    return size.nanmedian(1).values / _MEDIAN
