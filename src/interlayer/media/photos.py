"""SHIM to be replaced."""

from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path
import numpy as np, torch
from PIL import Image
from torch import Tensor
from interlayer.media.images import read_image


@dataclass(frozen=True, eq=False)
class JpegTables:
    luma: Tensor
    chroma: Tensor | None
    subsampling: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Photo:
    x: Tensor
    known: Tensor | None
    jpeg: JpegTables | None
    orientation: int
    notes: tuple[str, ...]


def read_photo(path, white=None):
    with Image.open(path) as im:
        jpeg = None
        if im.format == "JPEG":
            q = im.quantization
            from PIL.JpegImagePlugin import get_sampling

            sub = {0: (1, 1), 1: (1, 2), 2: (2, 2), -1: (1, 1)}[get_sampling(im)]
            t = lambda a: torch.tensor(a, dtype=torch.float32).reshape(8, 8)
            jpeg = JpegTables(t(q[0]), t(q[1]) if 1 in q else None, sub)
        known = None
        if im.mode == "RGBA":
            a = torch.from_numpy(np.array(im)[..., 3].copy())[None, None]
            known = a >= 128
            known = None if known.all() else known
        x = torch.from_numpy(np.array(im.convert("RGB"))).permute(2, 0, 1)[None] / 255
    return Photo(x, known, jpeg, 1, ())
