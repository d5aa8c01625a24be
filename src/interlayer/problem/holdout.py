"""Choices made from the measurements alone: which entries are held out to judge an estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from deepinv.physics import Physics
from scipy.ndimage import distance_transform_edt
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Weights over the measurements: ``fit`` is what a method sees, ``held`` what judges it.

    Both are 0 or 1 and broadcast against ``y``; entries that no image can change have 0 in both.
    ``held`` is all zero where nothing is held out.
    """

    fit: Tensor
    held: Tensor

    @property
    def everything(self) -> Tensor:
        """Weights of all entries that an image can change."""
        return self.fit + self.held

    @cached_property
    def judges(self) -> bool:
        """Whether anything is held out."""
        return bool(self.held.any())


@torch.no_grad()
def split_measurements(
    physics: Physics, y: Tensor, like: Tensor, fraction: float, seeds: Sequence[int]
) -> Split:
    r"""Hold out a random ``fraction`` of the informative measurements of each image.

    An entry is informative if the operator's output there depends on the image: it differs between
    a random image and a black one. Image-like measurements (B, C, H, W) are held out by
    pixel, all channels at once, since the channels of a pixel predict each other.

    Args:
        physics: the forward operator; its noise is not drawn.
        y: measurements (B, ...).
        like: any image batch (B, 3, H, W) of the size that the operator takes.
        fraction: fraction in [0, 1); at least one entry is held out if it is positive.
        seeds: one seed per image.

    Raises:
        ValueError: if ``fraction`` is out of range.

    Reference: cross-validation for compressed sensing, R. Ward, arXiv 0803.1845.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the held-out fraction must be at least 0 and below 1, not {fraction}")
    rng = torch.Generator().manual_seed(0)
    probe = torch.rand(like.shape[1:], generator=rng).to(like).expand_as(like)
    live = physics.A(probe) != physics.A(torch.zeros_like(like))
    if live.ndim == 4:
        live = live.any(dim=1, keepdim=True)
    held = torch.stack(
        [_choose(row, fraction, seed) for row, seed in zip(live, seeds, strict=True)]
    )
    return Split(fit=(live & ~held).float(), held=held.float())


def _choose(live: Tensor, fraction: float, seed: int) -> Tensor:
    """A random ``fraction`` of the true entries of ``live``, as a mask of its shape."""
    candidates = live.flatten().nonzero().flatten()
    count = min(len(candidates) - 1, max(1, round(fraction * len(candidates)))) if fraction else 0
    order = torch.randperm(len(candidates), generator=torch.Generator().manual_seed(seed))
    chosen = torch.zeros(live.numel(), dtype=torch.bool, device=live.device)
    chosen[candidates[order[: max(0, count)].to(live.device)]] = True
    return chosen.reshape(live.shape)


def judged_pixels(fitted: Tensor, held: Tensor) -> Tensor | None:
    """The pixels as near to fitted ones as some held-out pixel is, as a mask (B, 1, H, W).

    Args:
        fitted: mask (B, 1, H, W) of the pixels that were fitted.
        held: mask (B, 1, H, W) of those that judge.

    Returns:
        ``None`` where it would hold every pixel.

    >>> fitted, held = torch.eye(4)[:2, None, None] > 0
    >>> judged_pixels(fitted[None], held[None])[0, 0, 0].tolist()
    [True, True, False, False]
    """
    rows = (~fitted).cpu().numpy()
    distance = np.stack([np.asarray(distance_transform_edt(row[0]))[None] for row in rows])
    farthest = np.where(held.cpu().numpy(), distance, 0).max((1, 2, 3), keepdims=True)
    judged = torch.from_numpy(distance <= farthest).to(fitted.device)
    return None if judged.all() else judged


class Best:
    """The tensors that came with each image's lowest score so far; a tie counts as lower.

    Args:
        patience: number of offers in a row that are no better after which an image has settled, and
            takes no other; ``None`` for never.

    >>> best = Best()
    >>> best.offer(torch.tensor([1.0, 1.0]), x=torch.tensor([10, 20]))
    >>> best.offer(torch.tensor([2.0, 0.5]), x=torch.tensor([11, 21]))
    >>> best["x"]
    tensor([10, 21])
    """

    def __init__(self, patience: int | None = None) -> None:
        self.patience = patience
        self._score: Tensor | None = None
        self._kept: dict[str, Tensor] = {}
        self._idle = torch.zeros(0)

    def __getitem__(self, name: str) -> Tensor:
        return self._kept[name]

    @property
    def score(self) -> Tensor:
        """The lowest scores (B,)."""
        assert self._score is not None
        return self._score

    @property
    def settled(self) -> bool:
        """Whether every image has settled."""
        return self.patience is not None and bool((self._idle >= self.patience).all())

    @torch.no_grad()
    def offer(self, score: Tensor, **tensors: Tensor) -> None:
        """Keep, for the images whose score (B,) improved, their rows of ``tensors`` (B, ...)."""
        if self._score is None:
            self._score = score.clone()
            self._kept = {name: tensor.clone() for name, tensor in tensors.items()}
            self._idle = torch.zeros_like(score)
            return
        better = score <= self._score
        if self.patience is not None:
            better &= self._idle < self.patience
            self._idle = torch.where(better, 0, self._idle + 1)
        self._score[better] = score[better]
        for name, tensor in tensors.items():
            self._kept[name][better] = tensor[better]
