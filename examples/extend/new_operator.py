"""A new operator: every second row of the image, as one field of a television picture."""

import torch
from deepinv.physics import LinearPhysics

import interlayer as il
from interlayer.generators import ToyGenerator, draw_truths


class Interlaced(LinearPhysics):
    def A(self, x, **kwargs):
        return x[..., ::2, :]

    def A_adjoint(self, y, **kwargs):
        return torch.stack([y, torch.zeros_like(y)], dim=-2).flatten(-3, -2)


G = ToyGenerator()
x = draw_truths(G, [3])
physics = Interlaced()
solution = il.solve(physics, physics(x), G, il.auto(60).within(G.num_layers))
print(f"{il.metrics(solution.x_hat, x)['psnr']:.1f} dB from half of the rows")
