"""One optimisation step of StyleGAN3 at published widths, ours against the textbook formulation.

A step is a forward pass, the backward pass of a squared error to pose, styles and an activation,
and an Adam update. In the textbook formulation the weights of every sample are scaled and
normalised, zeros are inserted, and every filter is a full two-dimensional one. Both run in one
process, in turns, with the same random weights.

    python benchmarks/stylegan3_step.py --size 256
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators.base import LayerState
from interlayer.generators.stylegan3 import StyleGAN3
from interlayer.generators.stylegan3_layout import StyleGAN3Layout
from interlayer.memory import keep_freed_memory

CHANGED = 4  # layer whose input moves too


class TextbookStyleGAN3(StyleGAN3):
    """The same function with per-sample weights, zero insertion and full filters."""

    def _filtered(self, h: Tensor, index: int, w: Tensor) -> Tensor:
        name = f"L{index}"
        up, down, before, behind, makes_image = map(int, self._get(f"{name}.plan").tolist())
        weight = self._get(f"{name}.weight") * self.scale(name, w)[:, None, :, None, None]
        if not makes_image:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        weight = weight * self._get(f"{name}.gain")
        batch, outputs, inputs, kernel, _ = weight.shape
        flat = weight.reshape(batch * outputs, inputs, kernel, kernel)
        h = F.conv2d(h.reshape(1, -1, *h.shape[2:]), flat, padding=kernel - 1, groups=batch)
        h = h.view(batch, outputs, *h.shape[2:]) + self._get(f"{name}.bias")[:, None, None]
        if makes_image:
            return h
        height, width = h.shape[2:]
        spread = h.new_zeros(batch, outputs, height, up, width, up)
        spread[:, :, :, 0, :, 0] = h
        spread = spread.view(batch, outputs, height * up, width * up)
        h = full(F.pad(spread, (before, behind) * 2), up * self._get(f"{name}.up"))
        h = F.leaky_relu(h, 0.2) * 2**0.5
        return full(h, self._get(f"{name}.down"))[:, :, ::down, ::down]


def full(h: Tensor, kernel: Tensor) -> Tensor:
    """Each channel convolved with the outer product of a filter, or with a plane as it is."""
    plane = torch.outer(kernel, kernel) if kernel.ndim == 1 else kernel
    return F.conv2d(h, plane.flip(0, 1).expand(h.shape[1], 1, -1, -1), groups=h.shape[1])


def step(model: StyleGAN3, z: Tensor, pose: Tensor, change: Tensor) -> tuple[float, Tensor]:
    """Seconds of a step, and its image."""
    variables = [v.requires_grad_() for v in (z.clone(), pose.clone(), change.clone())]
    optimiser = torch.optim.Adam(variables, lr=1e-3)
    started = time.perf_counter()
    state = model.start(variables[0])
    state = model.run(LayerState(h=variables[1], ws=state.ws), 1, CHANGED)
    assert state.h is not None
    state = model.run(LayerState(h=state.h + variables[2], ws=state.ws), CHANGED, model.num_layers)
    x = model.image(state)
    x.square().mean().backward()
    optimiser.step()
    return time.perf_counter() - started, x.detach()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5, help="timed steps; the median counts")
    arguments = parser.parse_args()
    keep_freed_memory()
    print(f"{arguments.size}x{arguments.size}, {torch.get_num_threads()} threads")
    for rotation in (False, True):
        layout = StyleGAN3Layout(arguments.size, rotation)
        if rotation:
            layout = StyleGAN3Layout(arguments.size, True, base=65536, widest=1024)
        tensors = layout.random_tensors(seed=0)
        ours, textbook = StyleGAN3(tensors), TextbookStyleGAN3(tensors)
        z = torch.randn(1, *ours.latent_shape, generator=torch.Generator().manual_seed(1))
        pose = torch.zeros(1, 3)
        before = ours.run(ours.start(z), 0, CHANGED).h
        assert before is not None
        change = torch.zeros_like(before)
        seconds: dict[str, list[float]] = {"ours": [], "textbook": []}
        error = 0.0
        for turn in range(arguments.steps + 1):
            first, x = step(ours, z, pose, change)
            second, expected = step(textbook, z, pose, change)
            error = (x - expected).abs().max().item()
            if turn:
                seconds["ours"].append(first)
                seconds["textbook"].append(second)
        medians = {name: torch.tensor(each).median().item() for name, each in seconds.items()}
        print(
            f"  StyleGAN3-{'R' if rotation else 'T'}: {medians['ours']:.2f} s, textbook "
            f"{medians['textbook']:.2f} s, ratio {medians['textbook'] / medians['ours']:.2f}; "
            f"images differ by {error:.1e} at most"
        )


if __name__ == "__main__":
    main()
