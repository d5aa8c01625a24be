"""Pictures, and files that hold them, for the tests of photos."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from interlayer.media.images import to_picture
from interlayer.media.samples import sample_photo

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


def noisy_faces(count: int, side: int = 64) -> Image.Image:
    """The same face several times, one above the other, with noise of 8 % of white."""
    face = sample_photo("astronaut", side).repeat(1, 1, count, 1)
    rng = torch.Generator().manual_seed(0)
    return to_picture((face + 0.08 * torch.randn(face.shape, generator=rng)).clamp(0, 1))
