"""One optimisation step of the built-in generator: eager or compiled, with and without kept memory.

    python benchmarks/step.py

Forward and backward to the latent code at 1024x1024, float32, batch 1; every variant in a process
of its own, one after the other. Prints the median step and its ratio to the first variant.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

VARIANTS = ("eager", "eager kept", "compiled", "compiled kept")
REPEATS = 7


def measure(variant: str) -> dict[str, float]:
    """Seconds of the first step and of the median later one."""
    import torch

    import interlayer
    from interlayer.memory import keep_freed_memory

    if variant.endswith("kept"):
        keep_freed_memory()
    generator = interlayer.load("faces")

    def image(z):
        return generator.image(generator.run(generator.start(z), 0, generator.num_layers))

    if variant.startswith("compiled"):
        image = torch.compile(image)
    z = generator.sample([0]).requires_grad_()
    seconds = []
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        torch.autograd.grad(image(z).square().mean(), z)
        seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "step": sorted(seconds[1:])[REPEATS // 2]}


def main() -> None:
    """Measure every variant and print the table."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    print("| variant | first step | step | ratio |\n|---|---|---|---|")
    base = None
    for variant in VARIANTS:
        command = [sys.executable, __file__, variant]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        base = base or found["step"]
        ratio = found["step"] / base
        print(f"| {variant} | {found['first']:.1f} s | {found['step']:.2f} s | {ratio:.2f} |")


if __name__ == "__main__":
    main()
