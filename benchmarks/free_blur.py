"""Blur of no known shape, estimated from one photo, and what the estimate is good for.

    python benchmarks/free_blur.py FOLDER PHOTO...

Photos are read at 512 px, blurred by the paths of a shaken camera (deepinv's MotionBlurGenerator),
rounded to 8 bits, and recovered by total variation with the kernel that was estimated and with the
true one. A row of results/free_blur.jsonl holds the likeness of the kernels (the largest value of
their normalised cross-correlation) and the PSNR of the blurred photo and of both answers.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from pathlib import Path

import torch
import torch.nn.functional as F
from deepinv.loss.metric import PSNR
from deepinv.physics.generator import MotionBlurGenerator
from torch import Tensor

from interlayer import Problem, reconstruct
from interlayer.generators import ToyGenerator
from interlayer.media.images import read_image
from interlayer.problem.blur import OpenBlur
from interlayer.problem.blur_free import estimate_kernel

RESULTS = Path(__file__).parent / "results" / "free_blur.jsonl"
SIDE, LARGEST = 512, 31


def likeness(a: Tensor, b: Tensor) -> float:
    """The cosine of the angle between two kernels (1, 1, k, k), the one shifted as fits best."""
    shape = [m + n for m, n in zip(a.shape[-2:], b.shape[-2:], strict=True)]
    product = torch.fft.rfft2(a, shape).conj() * torch.fft.rfft2(b, shape)
    return (torch.fft.irfft2(product, shape).max() / a.norm() / b.norm()).item()


def by_total_variation(y: Tensor, kernel: Tensor) -> Tensor:
    """The photo without its blur; the generator is not used."""
    problem = Problem(OpenBlur((3, SIDE, SIDE), kernel), y, approximate=True)
    return deque(reconstruct(problem, ToyGenerator(SIDE), "tv"), maxlen=1)[0].solution().x_hat


def row_of(x: Tensor, seed: int) -> dict:
    """Blur a photo (1, 3, H, W), estimate the kernel, take it away."""
    kernel = MotionBlurGenerator((LARGEST, LARGEST)).step(1, seed=seed)["filter"]
    reach = LARGEST // 2
    wide = F.pad(x, [reach] * 4, "replicate").transpose(0, 1)
    y = F.conv2d(wide, kernel.flip(-1, -2)).transpose(0, 1).mul(255).round() / 255
    started = time.monotonic()
    found = estimate_kernel(y, LARGEST)
    seconds = round(time.monotonic() - started, 1)
    answers = {"blurred": y, "tv": by_total_variation(y, found)}
    answers["tv, true kernel"] = by_total_variation(y, kernel)
    figures = {name: round(PSNR()(answer, x).item(), 2) for name, answer in answers.items()}
    return {"likeness": round(likeness(found, kernel), 3), **figures, "seconds": seconds}


def main(folder: str, *photos: str) -> None:
    """Measure, and append a line for each photo and path."""
    for seed in (0, 1):
        for photo in photos:
            x = read_image(Path(folder) / photo, SIDE)
            row = {"photo": photo, "seed": seed, **row_of(x, seed)}
            print(json.dumps(row), flush=True)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
