"""The likelihood of each noise model of deepinv against the squared error.

    python benchmarks/likelihoods.py

`ilo` and `auto` on five images that faces64 draws, each measured whole under the noise; PSNR with
the loss that suits the noise and with the squared error, written to results/likelihoods.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

import torch
from deepinv.loss.metric import PSNR
from deepinv.physics import (
    Denoising,
    FisherTippettNoise,
    GammaNoise,
    LaplaceNoise,
    LogPoissonNoise,
    PoissonGaussianNoise,
    PoissonNoise,
    RicianNoise,
    SaltPepperNoise,
    UniformNoise,
)

from interlayer import load, solve
from interlayer.generators import draw_truths
from interlayer.problem import measurement_loss

RESULTS = Path(__file__).parent / "results" / "likelihoods.json"
IMAGES, METHODS = 5, ("ilo", "auto")
NOISES = {
    "Poisson, gain 0.2": PoissonNoise(0.2),
    "Poisson-Gaussian, gain 0.2, sigma 0.1": PoissonGaussianNoise(0.2, 0.1),
    "uniform, a 0.4": UniformNoise(0.4),
    "Laplace, b 0.2": LaplaceNoise(0.2),
    "gamma, l 3": GammaNoise(3.0),
    "log-Poisson, N0 20, mu 2": LogPoissonNoise(20.0, 2.0),
    "Fisher-Tippett, l 2": FisherTippettNoise(2.0),
    "Rician, sigma 0.2": RicianNoise(0.2),
    "salt and pepper, 0.1 each": SaltPepperNoise(0.1, 0.1),
}


def main() -> None:
    """Measure, print and write."""
    G, rows = load("faces64"), list[dict[str, object]]()
    for name, noise in NOISES.items():
        losses = {"likelihood": None, "squared": measurement_loss}
        figures = {(method, loss): list[float]() for method in METHODS for loss in losses}
        for seed in range(IMAGES):
            torch.manual_seed(seed)
            x = draw_truths(G, [seed])
            physics = Denoising(noise)
            y = physics(x.clamp_min(1e-3))
            for method, loss in figures:
                x_hat = solve(physics, y, G, method, fidelity=losses[loss]).x_hat
                figures[method, loss].append(round(PSNR()(x_hat, x).item(), 2))
        cells = [name]
        for method in METHODS:
            suited, squared = (mean(figures[method, loss]) for loss in losses)
            cells += [f"{suited:.2f}", f"{squared:.2f}", f"{suited - squared:+.2f}"]
            rows += [
                {"noise": name, "method": method, "loss": loss, "psnr": figures[method, loss]}
                for loss in losses
            ]
        print(f"| {' | '.join(cells)} |", flush=True)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
