"""Recover shapes with a decoder of your own as the prior: train an autoencoder, cut it, solve.

The decoder is an ordinary ``torch.nn.Sequential``. It is trained here, in seconds, on white
ellipses; then eight that it has not seen are recovered from a tenth of their pixels.

    python examples/own_network.py
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import interlayer as il

SIZE, CODE = 32, 8


def ellipses(count: int, seed: int) -> Tensor:
    """White ellipses on black, (count, 1, SIZE, SIZE) in [0, 1]."""
    rng = torch.Generator().manual_seed(seed)
    line = torch.linspace(-1, 1, SIZE)
    centre, radius = 0.8 * torch.rand(2, count, 1, 1, generator=rng) - 0.4, 0.3
    radius = radius + 0.4 * torch.rand(2, count, 1, 1, generator=rng)
    inside = ((line - centre[0]) / radius[0]) ** 2 + ((line[:, None] - centre[1]) / radius[1]) ** 2
    return torch.sigmoid(8 * (1 - inside))[:, None]


def train(steps: int) -> nn.Sequential:
    """The decoder of a variational autoencoder, whose codes are close to standard Gaussian."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(32 * (SIZE // 4) ** 2, 2 * CODE),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(CODE, 32 * (SIZE // 4) ** 2), nn.ReLU(),
        nn.Unflatten(1, (32, SIZE // 4, SIZE // 4)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1), nn.Sigmoid(),
    )  # fmt: skip
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    for step in range(steps):
        x = ellipses(64, seed=step)
        mean, log_variance = encoder(x).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        divergence = (mean**2 + log_variance.exp() - log_variance - 1).mean()
        loss = (decoder(z) - x).square().mean() + 1e-3 * divergence
        adam.zero_grad()
        loss.backward()
        adam.step()
    return decoder


def main(steps: int = 400) -> float:
    """Train, measure, recover; the mean PSNR of eight shapes in dB."""
    generator = il.Sequential(
        train(steps), cuts=["2", "4"], latent_shape=(CODE,), image_range=(0, 1)
    )
    x = ellipses(8, seed=10_000)
    physics = il.make_physics("inpaint:0.1", x.shape[1:])
    solution = il.solve(physics, physics(x), generator, il.ilo(300, layers=(0, 1, 2)))
    psnr = -10 * (solution.x_hat - x).square().mean((1, 2, 3)).log10().mean().item()
    print(f"recovered from 10 % of the pixels at {psnr:.1f} dB")
    return psnr


if __name__ == "__main__":
    main()
