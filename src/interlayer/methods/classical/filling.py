"""Pictures whose missing pixels come from their nearest known ones."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_dilation, distance_transform_edt
from torch import Tensor

from interlayer.errors import InputError
from interlayer.problem.problem import Problem


def interpolation(problem: Problem, weight: Tensor | None = None) -> Tensor:
    """Fill what inpainting leaves out, see `fill`; noisy pixels stay as noisy as they are.

    Args:
        problem: known pixels (B, C, H, W) with any noise.
        weight: mask, 1 for pixels that may be used, 0 for others; ``None`` uses all that are known.

    Returns:
        Images (B, C, H, W) in [0, 1].

    Raises:
        InputError: if the measurements are not pixels, or none may be used.

    >>> from interlayer.problem import measure
    >>> ramp = torch.linspace(0, 1, 8).expand(1, 3, 8, 8)
    >>> bool((interpolation(measure(ramp, "box:0.25", seed=0)) - ramp).abs().max() < 1e-6)
    True
    """
    if problem.known is None:
        raise InputError(
            "interpolation needs known pixels, which these measurements are not; "
            "use bicubic for superres, else tv or wavelet"
        )
    known = problem.known if weight is None else problem.known & (weight > 0)
    return fill(problem.y, known).clamp(0, 1)


def bicubic(problem: Problem, weight: Tensor | None = None) -> Tensor:
    """Enlarge the small image that superresolution starts from, by bicubic interpolation.

    Pixels of y that may not be used are filled in first, see `fill`.

    Args:
        problem: small images (B, C, H/K, W/K) with any noise.
        weight: mask, 1 for pixels of y that may be used, 0 for others; ``None`` uses all of them.

    Returns:
        Images (B, C, H, W) in [0, 1].

    Raises:
        InputError: if the measurements are not such small images.

    Reference: Keys, Cubic convolution interpolation for digital image processing, IEEE Trans.
    ASSP 29 (1981).

    >>> from interlayer.problem import measure
    >>> bicubic(measure(torch.rand(1, 3, 16, 16), "superres:4", seed=0)).shape
    torch.Size([1, 3, 16, 16])
    """
    if not problem.small:
        raise InputError(
            "bicubic enlarges small images, which these measurements are not; "
            "use interpolation for known pixels, else tv or wavelet"
        )
    small = problem.y if weight is None else fill(problem.y, weight > 0)
    size = problem.linear_physics.A_adjoint(small[:1]).shape[-2:]
    # Enlarging needs no antialiasing: it selects Keys' kernel, which keeps planes as they are.
    return F.interpolate(small, size, mode="bicubic", antialias=True).clamp(0, 1)


def plain(problem: Problem, weight: Tensor | None = None) -> Tensor:
    """The measured picture as it is, its holes filled, enlarged to the image: nothing is restored.

    Args:
        problem: measurements that are a picture, see `Problem.depicts`.
        weight: mask, 1 for measurements that may be used, 0 for others; ``None`` uses all.

    Returns:
        Images (B, C, H, W) in [0, 1], grey ones with three equal channels.

    Raises:
        InputError: if the measurements are no picture.

    >>> from interlayer.problem import measure
    >>> plain(measure(torch.rand(1, 3, 16, 16), "superres:2+colorize", seed=0)).shape
    torch.Size([1, 3, 16, 16])
    """
    if not problem.depicts:
        raise InputError("these measurements are no picture; use tv or wavelet")
    used = torch.ones(1, device=problem.y.device) if weight is None else weight
    return enlarged(problem, fill(*problem.picture_in(used)))


def enlarged(problem: Problem, picture: Tensor) -> Tensor:
    """A measured picture (B, C, h, w) at the size and with the channels of the image."""
    channels, *size = problem.linear_physics.A_adjoint(problem.y[:1]).shape[1:]
    x = F.interpolate(problem.upright(picture, size[-1]), size, mode="bicubic", antialias=True)
    return x.clamp(0, 1).expand(-1, channels, -1, -1)


def fill(values: Tensor, known: Tensor) -> Tensor:
    """Interpolate linearly on the Delaunay triangulation of the known pixels.

    Beyond their convex hull a pixel has the value of the nearest known one.

    Args:
        values: images (B, C, H, W); values that are not known do not matter.
        known: boolean mask, broadcastable to ``values``.

    Returns:
        A new tensor, equal to ``values`` where they are known.

    Raises:
        InputError: if nothing is known of some channel.

    >>> known = torch.tensor([True, False, False, True, False]).expand(1, 1, 5, 5)
    >>> fill(torch.tensor([0.0, 9.0, 9.0, 3.0, 9.0]).expand(1, 1, 5, 5), known)[0, 0, 0]
    tensor([0., 1., 2., 3., 3.])
    """
    images = values.cpu().numpy(), known.expand_as(values).cpu().numpy()
    filled = np.stack([_fill(*image) for image in zip(*images, strict=True)])
    return torch.from_numpy(filled).to(values)


def membrane(values: Tensor, known: Tensor) -> Tensor:
    """Continue known pixels smoothly into large holes, from the values at the rim to their mean.

    Pull and push: the known pixels are averaged over ever larger blocks, and missing ones come from
    the smallest block that knows anything. It suits the difference of two pictures that are to be
    joined at the rim, where `fill` would draw every speck of the rim across the hole.

    Args:
        values: images (B, C, H, W); values that are not known do not matter.
        known: boolean mask, broadcastable to ``values``; every image knows something.

    Returns:
        A new tensor, equal to ``values`` where they are known.

    Reference: Gortler, Grzeszczuk, Szeliski, Cohen, The Lumigraph, SIGGRAPH 1996.

    >>> known = torch.tensor([True, False, False, True]).expand(1, 1, 4, 4)
    >>> membrane(torch.tensor([0.0, 9.0, 9.0, 1.0]).expand(1, 1, 4, 4), known)[0, 0, 0]
    tensor([0.0000, 0.2500, 0.7500, 1.0000])
    """
    weight = known.expand_as(values).to(values)
    values = torch.where(weight > 0, values, 0)
    if weight.all() or max(values.shape[-2:]) == 1:
        return values
    share = F.avg_pool2d(weight, 2, ceil_mode=True)
    small = F.avg_pool2d(values, 2, ceil_mode=True) / share.clamp_min(1e-12)
    coarse = F.interpolate(membrane(small, share > 0), values.shape[-2:], mode="bilinear")
    return torch.where(weight > 0, values, coarse)


def _fill(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill one image (C, H, W); one triangulation serves all channels that know the same pixels."""
    if (known == known[:1]).all():
        return _fill_alike(values, known[0])
    channels = zip(values, known, strict=True)
    return np.concatenate([_fill_alike(value[None], where) for value, where in channels])


def _fill_alike(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill values (C, H, W) that are known at the same places (H, W) in all channels."""
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import Delaunay, QhullError

    if known.all():
        return values.copy()
    if not known.any():
        raise InputError("no pixel may be used; give measurements with at least one known pixel")
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    assert isinstance(nearest, np.ndarray)
    filled = values[:, nearest[0], nearest[1]]
    # A circle with no known pixel inside passes through a pixel with 8 known neighbours only if
    # it is no larger than a cell of the grid: such pixels are corners of no triangle of interest.
    rim = known & binary_dilation(~known, np.ones((3, 3)))
    try:
        triangles = Delaunay(np.argwhere(rim))
    except QhullError:  # fewer than three points, or all on a line
        return filled
    missing = np.argwhere(~known)
    linear = LinearNDInterpolator(triangles, values[:, rim].T)(missing)
    rows, columns = missing[inside := ~np.isnan(linear[:, 0])].T
    filled[:, rows, columns] = linear[inside].T
    return filled
