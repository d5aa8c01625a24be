"""A new method: stages, each of which says what moves, by how many steps, towards what."""

import interlayer as il
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.problem.fidelity import huber_loss

together = il.Losses(geocross=0.01)  # style codes stay near each other
stages = (
    il.Stage(il.Latent("tied"), steps=20, lr=0.1, towards=together),
    il.Stage(il.Latent(), steps=20, lr=0.05, towards=together),
    il.Stage(il.Layer(2, radius=0.2), steps=40, lr=0.05, towards=together),
)
method = il.Method("cautious", stages, fidelity=huber_loss)

G = ToyGenerator()
x = draw_truths(G, [3])
physics = il.make_physics("circulant:0.3+denoise:0.05", x.shape[1:])
problem = il.Problem(physics, physics(x))
for state in il.iterate(problem, G, method, il.Settings(seed=1)):
    if state.step == 0:
        print(state)
solution = state.solution()
print(f"{il.metrics(solution.x_hat, x)['psnr']:.1f} dB from noisy mixtures")
