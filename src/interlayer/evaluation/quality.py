"""Figures of an estimate against the truth, which no method sees."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from deepinv.loss.metric import LPIPS, PSNR, SSIM
from torch import Tensor
from torchvision.models import AlexNet_Weights

from interlayer.memory import return_freed_memory
from interlayer.networks.perceptual import MIN_SIZE, load_perceptual
from interlayer.weights import cache


def metrics(x_hat: Tensor, x: Tensor) -> dict[str, float]:
    """PSNR in dB, SSIM, mean squared error and, where it can be had, LPIPS of one estimate.

    See `lpips` for the perceptual figure; nothing is downloaded.

    Args:
        x_hat: estimate (1, C, H, W) in [0, 1].
        x: truth, same shape and range.

    >>> x = torch.full((1, 3, 16, 16), 0.5)
    >>> {name: round(value, 4) for name, value in metrics(x + 0.1, x).items()}
    {'psnr': 20.0, 'ssim': 0.9836, 'mse': 0.01}
    """
    colours = zip(x_hat.split(1, 1), x.split(1, 1), strict=True)  # a third of the memory
    figures = {
        "psnr": PSNR()(x_hat, x).item(),
        "ssim": fmean(SSIM()(a, b).item() for a, b in colours),
        "mse": F.mse_loss(x_hat, x).item(),
    }
    return_freed_memory()  # all of it is for blocks of other sizes
    distances = lpips(x_hat, x) if has_distance(x_hat.shape[1], x_hat.shape[-1]) else {}
    return figures | {name: value.item() for name, value in distances.items()}


def coverage(samples: Tensor, x: Tensor, width: float = 1.0) -> float:
    """Fraction of the true values within ``mean ± width * std``; 0.68 for a perfect Gaussian.

    Args:
        samples: solutions (N, 3, H, W) of one problem, at least 2.
        x: truth (1, 3, H, W).
        width: half the interval, in standard deviations.

    >>> found = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    >>> coverage(found, torch.tensor([0.6])), coverage(found, torch.tensor([3.0]))
    (1.0, 0.0)
    """
    mean, std = samples.mean(0, keepdim=True), samples.std(0, keepdim=True)
    return ((x - mean).abs() <= width * std).float().mean().item()


def lpips(x_hat: Tensor, x: Tensor) -> dict[str, Tensor]:
    """Perceptual distance of estimates from the truth, by the name of the network that measured it.

    ``{"lpips": (B,)}``, by torchmetrics, if torchvision's AlexNet is on this machine; else
    ``{"stlpips": (B,)}`` if the weights ``perceptual`` were pulled; else nothing. Figures of the
    two do not compare. Nothing is downloaded.

    Args:
        x_hat: estimates (B, 3, H, W) in [0, 1].
        x: truth, same shape and range.

    >>> x = torch.rand(1, 3, 64, 64)
    >>> [round(value.item(), 4) for value in lpips(x, x).values()] in ([0.0], [])
    True
    """
    with torch.no_grad():
        if _has_alexnet():
            return {"lpips": LPIPS(device=x.device)(x_hat, x)}
        if cache.is_cached("perceptual"):
            network, distance = load_perceptual().to(x.device), x.new_zeros(len(x))
            for share in network.distances(x_hat, x):
                distance += share
                return_freed_memory()  # each slice has blocks of other sizes
            return {"stlpips": distance}
    return {}


def has_distance(channels: int, size: int) -> bool:
    """Whether images are RGB and large enough for a perceptual distance."""
    return channels == 3 and size >= MIN_SIZE


def pull_distance(note: cache.Note = cache.to_stderr) -> None:
    """Pull the weights that `lpips` needs, unless there are some already.

    Args:
        note: receives one line about each thing done.

    Raises:
        InputError: if they cannot be pulled.
    """
    if not _has_alexnet() and not cache.is_cached("perceptual"):
        cache.pull("perceptual", note=note)


def number_or_none(value: Tensor) -> float | None:
    """Value of a one-entry tensor; ``None``, which JSON and SQL can hold, for NaN.

    >>> number_or_none(torch.tensor([0.5])), number_or_none(torch.tensor(torch.nan))
    (0.5, None)
    """
    return None if value.isnan() else value.item()


def _has_alexnet() -> bool:
    name = Path(AlexNet_Weights.DEFAULT.url).name
    return (Path(torch.hub.get_dir()) / "checkpoints" / name).is_file()
