"""Pictures, and files that hold them, for the tests of photos."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

ORIENTATION = 0x0112


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height: int, width: int) -> np.ndarray:
    """A coloured picture without fine detail, unlike its mirror images."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return (255 * np.stack([x, y**2, 0.5 + 0.4 * np.sin(7 * x + 3 * y)], -1)).astype(np.uint8)


def saved(path: Path, levels: np.ndarray, orientation: int = 1, **options) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(levels).save(path, exif=exif, **options)
    return path


def tiff(path: Path, levels) -> Path:
    Image.fromarray(np.asarray(levels)).save(path)
    return path


def image(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels.astype(np.float32) / 255).permute(2, 0, 1)[None]
