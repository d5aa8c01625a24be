"""deepinv's own DCGAN as the prior, cut behind its blocks.

The weights are random here; load yours with ``network.load_state_dict(torch.load(file,
weights_only=True))``. The image to recover is one that the network draws.

    python examples/deepinv_dcgan.py
"""

from __future__ import annotations

import torch
from deepinv.models import DCGANGenerator

import interlayer as il
from interlayer.generators.base import draw_truths


def main(steps: int = 240) -> float:
    """Measure a drawn image, recover it; the PSNR in dB."""
    torch.manual_seed(0)
    network = DCGANGenerator(output_size=64, nz=32, ngf=16, nc=3)
    generator = il.Sequential(network.model, cuts=["2", "5"], latent_shape=(32, 1, 1))
    x = draw_truths(generator, [7])
    physics = il.make_physics("circulant:0.1", x.shape[1:])
    solution = il.solve(physics, physics(x), generator, il.ilo(steps, layers=(0, 1, 2)))
    psnr = -10 * (solution.x_hat - x).square().mean().log10().item()
    print(f"recovered from 10 % circulant measurements at {psnr:.1f} dB")
    return psnr


if __name__ == "__main__":
    main()
