"""Estimates of the noise of photos in 8-bit files: sigma in, estimate out.

python benchmarks/noise.py PHOTO...
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from interlayer.media.images import read_image
from interlayer.problem import estimate_noise

SIGMAS = (0.0, 0.01, 0.05, 0.125, 0.25, 0.5)


def main() -> None:
    """Print a line per photo and a column per standard deviation."""
    print(f"| photo | {' | '.join(map(str, SIGMAS))} |\n|---|{'---|' * len(SIGMAS)}")
    for name in sys.argv[1:]:
        x = read_image(name, 1024)
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        noisy = [(x + sigma * noise).clamp(0, 1).mul(255).round() / 255 for sigma in SIGMAS]
        cells = [f"{estimate_noise(y).item():.3f}" for y in noisy]
        print(f"| {Path(name).stem} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
