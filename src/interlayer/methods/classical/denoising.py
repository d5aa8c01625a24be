"""Denoising by collaborative filtering of similar patches."""

from __future__ import annotations

import torch
from deepinv.models import BM3D
from torch import Tensor

from interlayer.errors import InputError
from interlayer.methods.classical.filling import enlarged, fill
from interlayer.problem.facts import noise_of
from interlayer.problem.problem import Problem

# Brightness and two differences of colours; orthonormal, so that white noise stays white.
_OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
_OPPONENT /= _OPPONENT.norm(dim=1, keepdim=True)
_STRIP, _MARGIN = 256, 32  # rows at a time, for the patches of an image take gigabytes
_SMALLEST = 32


@torch.no_grad()
def bm3d(problem: Problem, weight: Tensor | None = None) -> Tensor:
    """Denoise by BM3D: similar patches are filtered together, in an opponent colour space.

    deepinv's own implementation, with cosine transforms only. The noise is taken to be Gaussian, of
    the standard deviation that `Problem.noise` gives.

    Args:
        problem: pictures (B, 3, H, W) with any noise, of at least 32x32 pixels; of an approximate
            problem also smaller or blurred ones, which are then enlarged.
        weight: mask, 1 for pixels that may be used, 0 for others, which are filled in first.

    Returns:
        Images (B, 3, H, W) in [0, 1].

    Raises:
        InputError: if the measurements are not the picture itself with noise.

    Reference: Dabov, Foi, Katkovnik, Egiazarian, IEEE Trans. Image Process. 16 (2007).

    >>> from interlayer.problem import measure
    >>> x = torch.full((1, 3, 32, 32), 0.4)
    >>> bool((bm3d(measure(x, "denoise:0.1", seed=0)) - x).square().mean() < 0.1 * 0.1**2)
    True
    """
    if not takes_bm3d(problem):
        raise InputError(
            f"bm3d removes noise from coloured pictures of at least {_SMALLEST}x{_SMALLEST} "
            "pixels, which these measurements are not; use tv or wavelet"
        )
    if not problem.whole:
        used = torch.ones(1, device=problem.y.device) if weight is None else weight
        picture = fill(*problem.picture_in(used))
        quiet = [_denoised(image, problem.picture_noise) for image in picture.split(1)]
        return enlarged(problem, torch.cat(quiet))
    noisy = problem.y if weight is None else fill(problem.y, weight > 0)
    images = [_denoised(image, noise_of(problem.physics, image).sigma) for image in noisy.split(1)]
    return torch.cat(images).clamp(0, 1)


def takes_bm3d(problem: Problem) -> bool:
    """Whether the measurements are RGB pictures, whole and large enough for `bm3d`."""
    if problem.whole:
        return problem.picture and min(problem.y.shape[-2:]) >= _SMALLEST
    return problem.approximate and problem.depicts and _shown_large(problem)


def _shown_large(problem: Problem) -> bool:
    """Whether the measured picture is RGB and large enough."""
    _, channels, *sides = problem.picture_in(torch.ones(1, device=problem.y.device))[0].shape
    return channels == 3 and min(sides) >= _SMALLEST


def _denoised(y: Tensor, sigma: float | None) -> Tensor:
    """Denoise one picture (1, 3, H, W), strip by strip."""
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
