"""Tones of photos without colours: grey, or the brown of an old print."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = torch.tensor([0.299, 0.587, 0.114])
LEVELS = 32  # of brightness, each with its colour
COLOURLESS, GREY = 0.013, 0.004  # root mean square in [0, 1]


@dataclass(frozen=True, eq=False)
class Tone:
    """Colour as a function of brightness alone.

    Attributes:
        shift: colour minus brightness (3, `LEVELS`) at levels of brightness from 0 to 1.
    """

    shift: Tensor

    @property
    def grey(self) -> bool:
        """Whether the tone has no colour at all."""
        return self.shift.square().mean().sqrt().item() < GREY

    def __call__(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) in this tone, with the brightness that they have.

        >>> x = torch.rand(1, 3, 8, 8)
        >>> bool((Tone(torch.zeros(3, LEVELS))(x) - luma_of(x)).abs().max() < 1e-6)
        True
        """
        luma = luma_of(x)
        place = luma.clamp(0, 1) * (LEVELS - 1)
        below = place.floor().clamp(max=LEVELS - 2).long()
        shift = self.shift.to(x)
        low, high = (shift[:, below[:, 0] + step].transpose(0, 1) for step in (0, 1))
        return (luma + torch.lerp(low, high, place - below)).clamp(0, 1)


def luma_of(x: Tensor) -> Tensor:
    """Brightness (B, 1, H, W) of images (B, 3, H, W), as of ITU-R BT.601."""
    return torch.einsum("c,bchw->bhw", LUMA.to(x), x)[:, None]


def tone_of(x: Tensor, known: Tensor) -> Tone | None:
    """The tone of a photo (1, 3, H, W), or ``None`` for one in colours.

    A photo has a tone where its colours, averaged over blocks so that neither noise nor a file's
    compression counts, follow from its brightness.

    Args:
        x: photo in [0, 1].
        known: mask (1, 1, H, W) of bool, pixels that count.

    >>> grey = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    >>> known = torch.ones(1, 1, 64, 64).bool()
    >>> tone_of(grey, known).grey, tone_of(torch.rand(1, 3, 64, 64), known)
    (True, None)
    """
    blocks, share = (F.avg_pool2d(part, _block(x)) for part in (x.where(known, 0), known.float()))
    colours = (blocks / share.clamp_min(1e-6))[0][:, share[0, 0] > 0]
    luma = torch.einsum("c,cn->n", LUMA, colours)
    place = (luma.clamp(0, 1) * (LEVELS - 1)).round().long()
    count = torch.zeros(LEVELS).index_add(0, place, torch.ones_like(luma))
    total = torch.zeros(3, LEVELS).index_add(1, place, colours - luma)
    shift = _continued(total, count)
    residual = (colours - luma - shift[:, place]).square().mean().sqrt().item()
    return Tone(shift) if residual < COLOURLESS else None


def _block(x: Tensor) -> int:
    """Side of the blocks, of which there are 32 along the shorter side of all but small photos."""
    return max(1, min(x.shape[-2:]) // 32)


def _continued(total: Tensor, count: Tensor) -> Tensor:
    """Means per level; a level that no pixel has takes that of the nearest one that some have."""
    levels = torch.arange(LEVELS)
    seen = levels[count > 0]
    nearest = seen[(levels[:, None] - seen).abs().argmin(1)]
    return (total / count.clamp_min(1))[:, nearest]
