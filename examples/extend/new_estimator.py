"""A new estimator for `auto`, which weighs it by how it predicts held-out measurements."""

from dataclasses import dataclass

import interlayer as il
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.methods import ESTIMATORS, Direct


@dataclass(frozen=True)
class Landweber(Direct):
    name: str = "landweber"
    work: float = 2  # as long as two steps of the generator

    def estimate(self, evidence, weight):
        physics, y, x = evidence.problem.linear_physics, evidence.problem.y, evidence.drawn[-1]
        for _ in range(20):
            x = x - 0.5 * physics.A_adjoint(weight * (physics.A(x) - y))
        return x.clamp(0, 1)


G = ToyGenerator()
x = draw_truths(G, [3])
physics = il.make_physics("deblur:1+denoise:0.02", x.shape[1:])
method = il.auto(60, estimators=(*ESTIMATORS, Landweber())).within(G.num_layers)
solution = il.solve(physics, physics(x), G, method)
print(f"{il.metrics(solution.x_hat, x)['psnr']:.1f} dB from a blurred, noisy image")
