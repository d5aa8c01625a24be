"""Estimates of an unknown blur from one photo: known blurs in, estimates out.

    python benchmarks/blind_blur.py FOLDER [OUTPUT]

Photos are read at 1024 px, blurred (edges replicated unless told otherwise) and rounded to 8 bits;
the steps of JPEG files are told. A row is {photo, condition, blur, estimated, shape, right}, sizes
in pixels of the photo as it was estimated: "right" is the right shape, and Gaussians within 15 %,
discs and lengths within 20 %, angles within 8 degrees.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.signal import fftconvolve
from torch import Tensor

from interlayer.media.images import read_image
from interlayer.media.jpeg_tables import standard_tables
from interlayer.problem.blur_level import Blur, estimate_blur

RESULTS = Path(__file__).parent / "results" / "blind_blur.json"
NONE = Blur("none")
GAUSSIANS = [Blur("gaussian", s) for s in (1, 1.5, 2, 3, 4, 6, 8, 12)]
LINES = [
    Blur("line", length, angle)
    for length, angles in {10: (0, 65), 15: (30, 110), 20: (90, 140), 30: (10, 45)}.items()
    for angle in angles
]
DISCS = [Blur("disc", r) for r in (2, 4, 8, 16)]
FEW = [*(Blur("gaussian", s) for s in (1, 1.5, 2, 4, 8)), Blur("line", 15, 30), Blur("disc", 5)]


def blurred(x: Tensor, blur: Blur, padding: str = "replicate") -> Tensor:
    """Blur a photo beyond whose borders lies a copy of them."""
    kernel = blur.kernel(largest=255)[0]
    reach = kernel.shape[-1] // 2
    padded = F.pad(x, [reach] * 4, padding)[0].double().numpy()
    found = fftconvolve(padded, kernel.double().numpy(), mode="valid", axes=(1, 2))
    return torch.from_numpy(found)[None].float()


def rounded(x: Tensor) -> Tensor:
    """Round to 8 bits."""
    return x.clamp(0, 1).mul(255).round() / 255


def saved(x: Tensor, quality: int) -> Tensor:
    """Save as JPEG and read again."""
    file, pixels = io.BytesIO(), (rounded(x)[0] * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255


def noisy(x: Tensor) -> Tensor:
    """Add noise of standard deviation 0.02 and round."""
    return rounded(x + 0.02 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)))


def smaller(x: Tensor, side: int) -> Tensor:
    """Reduce a sharp photo as Pillow does."""
    pixels = (x[0] * 255).round().byte().permute(1, 2, 0).numpy()
    reduced = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(reduced)).permute(2, 0, 1)[None] / 255


CONDITIONS: dict[str, Callable[[Tensor, Blur], Tensor]] = {
    "8 bits": lambda x, blur: rounded(blurred(x, blur)),
    "reflected borders": lambda x, blur: rounded(blurred(x, blur, "reflect")),
    "true borders, 900 px": lambda x, blur: rounded(blurred(x, blur)[..., 62:962, 62:962]),
    "grey": lambda x, blur: rounded(blurred(x, blur).mean(1, keepdim=True)),
    "JPEG 90": lambda x, blur: saved(blurred(x, blur), 90),
    "JPEG 60": lambda x, blur: saved(blurred(x, blur), 60),
    "noise of 0.02": lambda x, blur: noisy(blurred(x, blur)),
    "512 px": lambda x, blur: rounded(blurred(smaller(x, 512), blur)),
    "256 px": lambda x, blur: rounded(blurred(smaller(x, 256), blur)),
}
QUALITIES = {"JPEG 90": 90, "JPEG 60": 60}


def is_right(found: Blur, blur: Blur) -> bool:
    """Whether an estimate is as good as was asked for."""
    if found.shape != blur.shape or blur.shape == "none":
        return found.shape == blur.shape
    turned = abs((found.angle - blur.angle + 90) % 180 - 90)
    share = 0.15 if blur.shape == "gaussian" else 0.2
    return abs(found.size / blur.size - 1) <= share and turned <= 8


def rows_of(photo: Path) -> Iterator[dict[str, object]]:
    """Estimate all blurs of a photo."""
    x = read_image(photo, 1024)
    for condition, make in CONDITIONS.items():
        quality = QUALITIES.get(condition)
        steps = None if quality is None else standard_tables(quality)[0]
        every = [*GAUSSIANS, *LINES, *DISCS] if condition == "8 bits" else FEW
        for blur in (NONE, *every):
            found = estimate_blur(make(x, blur), steps=steps)
            yield {
                "photo": photo.stem,
                "condition": condition,
                "blur": str(blur),
                "estimated": str(found),
                "shape": found.shape,
                "right": is_right(found, blur),
            }


def main() -> None:
    """Measure, print a row per condition and blur, and write."""
    photos = sorted(p for p in Path(sys.argv[1]).iterdir() if p.suffix in (".png", ".jpg"))
    rows = []
    for photo in photos:
        for row in rows_of(photo):
            rows.append(row)
            print(json.dumps(row), flush=True)
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else RESULTS
    file.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


if __name__ == "__main__":
    main()
