"""The spectrum of sharp faces, the numbers in `problem/blur_level_spectrum.py`.

    python benchmarks/sharp_spectrum.py [FACES]

Of generated faces: mean and spread of what multiplies the shapes of their log spectra below 128
cycles a side, where the generator's grid does not show, the scale of what is left, and the square
of the blur that such a spectrum, continued, lacks at its end.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from interlayer.generators import draw_truths
from interlayer.problem.blur_level import Blur, round_blur
from interlayer.problem.blur_level_spectrum import Spectrum, spectrum_of
from interlayer.weights.loading import load

SIGMAS = (1.0, 1.5, 2.0)
TOP = (7 - 5.5) / 3.5  # 128 cycles a side, as the shapes count
LUMA = torch.tensor((0.299, 0.587, 0.114))


def spectrum(x: Tensor, sigma: float) -> Spectrum:
    """Spectrum of a face (3, H, W), blurred and rounded."""
    if sigma:
        kernel = Blur("gaussian", sigma).kernel(largest=31)[0, 0]
        profile, reach = kernel.sum(0), len(kernel) // 2
        padded = torch.nn.functional.pad(x[None], [reach] * 4, "replicate")[0][:, None]
        rows = torch.nn.functional.conv2d(padded, profile.view(1, 1, 1, -1))
        x = torch.nn.functional.conv2d(rows, profile.view(1, 1, -1, 1))[:, 0]
    rounded = x.clamp(0, 1).mul(255).round() / 255
    grey = torch.einsum("c,chw->hw", LUMA, rounded).double()
    found = spectrum_of(grey, torch.ones_like(grey, dtype=torch.bool))
    assert found is not None
    return replace(found, softness=0.0)


def parts(found: Spectrum) -> tuple[Tensor, float]:
    """Coefficients of all shapes but the cubic and the scale of the rest, by robust regression."""
    low = found.shapes[:, 1] < TOP
    shapes = found.shapes[low][:, [k for k in range(found.shapes.shape[1]) if k != 3]]
    values, weight = found.log_power[low], torch.ones(int(low.sum()), dtype=torch.float64)
    rest, coefficients = values, torch.zeros(shapes.shape[1])
    for _ in range(20):
        coefficients = torch.linalg.solve(
            shapes.T @ (weight[:, None] * shapes), shapes.T @ (weight * values)
        )
        rest = values - shapes @ coefficients
        weight = 1 / (1 + (rest / 0.8).square())
    return coefficients, rest.abs().median().item() / 0.6745


def main() -> None:
    """Measure and print."""
    generator = load("faces")
    found, scales, softness = [], [], []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 32):
        x = draw_truths(generator, [seed])[0]
        coefficients, scale = parts(spectrum(x, 0))
        found.append(coefficients)
        scales.append(scale)
        for sigma in SIGMAS:
            blur = round_blur(spectrum(x, sigma), "gaussian", widest=8)
            softness.append(blur.size**2 - sigma**2)
    mean, spread = torch.stack(found).mean(0), torch.stack(found).std(0)
    turning = spread[3:].view(4, 3).square().mean(0).sqrt()
    print(f"mean of slope and bend: {mean[1]:.2f} {mean[2]:.2f}")
    print(f"spread: {spread[1]:.2f} {spread[2]:.2f}")
    print(f"spread of what turns: {turning[0]:.2f} {turning[1]:.2f} {turning[2]:.2f}")
    print(f"scale: {median(scales):.2f}")
    print(f"softness: {median(softness):.2f} square pixels")


if __name__ == "__main__":
    main()
