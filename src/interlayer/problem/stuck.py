"""Dead and hot pixels of a camera, told from a photo alone."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

APART = 0.25  # from the middle of what is around


def stuck_pixels(y: Tensor) -> Tensor:
    """Mask (B, 1, H, W) of pixels at black or white, in any channel, amid others of another value.

    A channel counts if it is 0 or 1 and differs by more than a quarter from the median of the 5x5
    pixels around it.

    >>> import torch
    >>> y = torch.full((1, 3, 8, 8), 0.4)
    >>> y[:, 1, 2, 3] = 1
    >>> stuck_pixels(y).nonzero().tolist()
    [[0, 0, 2, 3]]
    """
    around = F.unfold(F.pad(y, [2] * 4, mode="reflect").flatten(0, 1)[:, None], 5)
    median = around.median(1).values.reshape(y.shape)
    extreme = (y <= 0) | (y >= 1)
    return (extreme & ((y - median).abs() > APART)).any(1, keepdim=True)
