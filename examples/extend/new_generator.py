"""A new generator: its layers, numbered from 0, and what crosses a cut between them."""

import torch
import torch.nn.functional as F

import interlayer as il
from interlayer.generators.base import LayerState, draw_truths, gaussian_by_seed


class Clouds(il.Generator):
    name, num_layers, resolution, latent_shape = "clouds", 2, 32, (24,)

    def sample(self, seeds, truncation=1.0):
        return truncation * gaussian_by_seed(seeds, self.latent_shape)

    def start(self, z, noise=None):
        return LayerState(h=z)

    def layer(self, index, state):
        if index == 0:
            return LayerState(h=F.interpolate(state.h.reshape(-1, 3, 2, 4), (8, 8), mode="bicubic"))
        return LayerState(h=F.interpolate(state.h, (32, 32), mode="bicubic").tanh())


G = Clouds()
x = (draw_truths(G, [3]) + 0.1 * torch.sin(torch.arange(32.0))).clamp(0, 1)  # out of its range
physics = il.make_physics("inpaint:0.3", x.shape[1:])
solution = il.solve(physics, physics(x), G, il.ilo(80, layers=(0, 1)))
print(f"{il.metrics(solution.x_hat, x)['psnr']:.1f} dB from a third of the pixels")
