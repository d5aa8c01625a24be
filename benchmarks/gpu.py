"""What a GPU makes of a step and of a whole recovery, beside the cores of its machine.

    python benchmarks/gpu.py

Medians of steps of `iterate` at layers 0 and 2 in both precisions; `auto` in two qualities on a
generated face; the largest difference of an image from the CPU's, without TF32 and with it.
Printed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

import torch
from deepinv.loss.metric import PSNR

from interlayer import Generator, Latent, Layer, Method, Settings, Stage, iterate, load, reconstruct
from interlayer.generators import draw_truths
from interlayer.problem import measure

TASKS = ("circulant:0.01", "inpaint:0.01", "superres:16")
TURNS = {"cuda": 20, "cpu": 5}


def seconds(action: Callable[[], object]) -> float:
    """How long one call takes, until the GPU has done it."""
    torch.cuda.synchronize()
    started = time.perf_counter()
    action()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def step(G: Generator, device: str, layer: int) -> float:
    """The median time of a step."""
    x = torch.full((1, *G.img_size), 0.5, device=device)
    stage = Stage(Layer(layer, radius=0.05) if layer else Latent(), steps=10**6, lr=1e-3)
    method = Method("stage", (Stage(Latent(), 1), stage))
    states = iterate(measure(x, "inpaint:1", seed=0), G, method, Settings(holdout=0))
    return median([seconds(lambda: next(states)) for _ in range(TURNS[device] + 3)][3:])


def main() -> None:
    """Measure and print."""
    generators = {device: load("faces", device) for device in TURNS}
    for G in generators.values():
        G.precision = torch.float32
    x = draw_truths(generators["cpu"], [0])
    z = generators["cpu"].sample([0])
    for tf32 in (False, True):
        torch.backends.cudnn.allow_tf32 = tf32
        apart = (generators["cuda"](z.cuda()).cpu() - generators["cpu"](z)).abs().max().item()
        print(f"TF32 {tf32}: an image differs by {apart:.1g} at most")
    for device, G in generators.items():
        for precision in (torch.float32, torch.bfloat16):
            G.precision = precision
            for layer in (0, 2):
                print(f"{device} {precision}, layer {layer}: {1e3 * step(G, device, layer):.0f} ms")
    G = generators["cuda"]
    G.precision = torch.float32
    for task in TASKS:
        problem = measure(x.cuda(), task, seed=0)
        for quality in ("draft", "normal"):
            started = time.perf_counter()
            last = deque(reconstruct(problem, G, quality=quality), maxlen=1)[0]
            psnr = PSNR()(last.solution().x_hat.cpu(), x).item()
            most = torch.cuda.max_memory_allocated() / 2**30
            took = time.perf_counter() - started
            print(f"{task} {quality}: {psnr:.1f} dB, {took:.1f} s, at most {most:.1f} GB")


if __name__ == "__main__":
    main()
