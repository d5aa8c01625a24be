"""Photos that come with the dependencies, for a first run without a photo at hand."""

from __future__ import annotations

import skimage.data
import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.errors import InputError

SAMPLE = "sample:"  # before its name, where a file could stand
SAMPLES = {
    # The face at the place and size that FFHQ alignment gives it: left, top, side in pixels.
    "astronaut": (130, 10, 190),
}


def sample_photo(name: str, size: int | None = None) -> Tensor:
    """Return a sample photo in [0, 1], cropped to the face at (1, 3, size, size), or whole.

    ``astronaut``: Eileen Collins, NASA, public domain, from scikit-image.

    Raises:
        InputError: if there is no sample of that name.

    >>> sample_photo("astronaut", 64).shape
    torch.Size([1, 3, 64, 64])
    """
    if name not in SAMPLES:
        raise InputError(f"there is no sample photo {name!r}; use one of {', '.join(SAMPLES)}")
    left, top, side = SAMPLES[name]
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None] / 255
    if size is None:
        return photo
    face = photo[..., top : top + side, left : left + side]
    return F.interpolate(face, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
