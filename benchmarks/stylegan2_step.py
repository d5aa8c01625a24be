"""One optimisation step of StyleGAN2 with config-f widths, ours against the textbook formulation.

A step is a forward pass, the backward pass of a squared error to styles, noise maps and an
activation, and an Adam update. The textbook formulation is the paper's own: every sample's weights
are scaled and normalised and a grouped convolution applies them, so that the gradient goes through
the weights. Every variant runs in a process of its own, for its peak memory, with random weights.
All but "plain", which is the textbook's as it would be found, keep freed memory, as the command
line does; ratios are to "textbook", which does too.

    python benchmarks/stylegan2_step.py --sizes 256 1024
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from interlayer.generators.base import LayerState
from interlayer.generators.layout import Layout
from interlayer.generators.modulation import binomial_filter
from interlayer.generators.stylegan2 import StyleGAN2
from interlayer.memory import keep_freed_memory

CONFIG_F = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
VARIANTS = ("plain", "textbook", "float32", "bfloat16")
PERTURBED_LAYER = 2
Images = Callable[[Tensor, Sequence[Tensor], Tensor], Tensor]


class TextbookStyleGAN2:
    """The synthesis network with per-sample weights, from the same tensors as `StyleGAN2`."""

    def __init__(self, tensors: dict[str, Tensor], conv_clamp: float | None = None) -> None:
        self.layout = Layout.infer({name: tuple(t.shape) for name, t in tensors.items()})
        self.tensors, self.conv_clamp = tensors, conv_clamp

    def layer(self, index: int, state: LayerState) -> LayerState:
        """One resolution block; the state is as in `StyleGAN2.layer`."""
        assert state.ws is not None
        size, output = 4 * 2**index, self.layout.output
        h = self.tensors["constant"].repeat(len(state.ws), 1, 1, 1) if index == 0 else state.h
        assert h is not None
        before = h
        for conv in self.layout.convolutions(index):
            position = Layout.position(conv)
            residual = output == "resnet" and index and conv.endswith("conv1")
            gain = 0.5**0.5 if residual else 1.0
            h = self.modulated(h, conv, state.ws[:, position], up=conv.endswith("conv0"))
            if self.layout.noise:
                h = h + state.noise[position] * self.tensors[f"{conv}.strength"]
            h = F.leaky_relu(h + self.tensors[f"{conv}.bias"][:, None, None], 0.2) * (2**0.5 * gain)
            h = self.clamp(h, gain)
        if output == "resnet" and index:
            short = F.conv2d(before, self.tensors[f"{size}.skip.weight"])
            h = 0.5**0.5 * upsample(short) + h
        rgb = None if state.rgb is None else upsample(state.rgb)
        if output == "skip" or index == len(self.layout.channels) - 1:
            term = self.modulated(h, f"{size}.rgb", state.ws[:, 2 * index + 1], demodulate=False)
            term = self.clamp(term + self.tensors[f"{size}.rgb.bias"][:, None, None])
            rgb = term if rgb is None else rgb + term
        return LayerState(h, state.ws, state.noise, rgb)

    def modulated(
        self, h: Tensor, name: str, w: Tensor, up: bool = False, demodulate: bool = True
    ) -> Tensor:
        """The paper's equations 1 and 3 on the weights, then one group for every sample."""
        batch, inputs, height, width = h.shape
        style = (self.tensors[f"{name}.style.{part}"] for part in ("weight", "bias"))
        scale = F.linear(w, *style)
        weight = self.tensors[f"{name}.weight"] * scale[:, None, :, None, None]
        if demodulate:
            weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
        outputs, kernel = weight.shape[1], weight.shape[-1]
        h = h.reshape(1, batch * inputs, height, width)
        if not up:
            weight = weight.reshape(batch * outputs, inputs, kernel, kernel)
            h = F.conv2d(h, weight, padding=kernel // 2, groups=batch)
            return h.reshape(batch, outputs, height, width)
        weight = weight.transpose(1, 2).reshape(batch * inputs, outputs, kernel, kernel)
        h = F.conv_transpose2d(h, weight, stride=2, groups=batch)
        return resample(h.reshape(batch, outputs, 2 * height + 1, 2 * width + 1), (1, 1))

    def clamp(self, h: Tensor, gain: float = 1.0) -> Tensor:
        """The bound on activations, if there is one."""
        bound = None if self.conv_clamp is None else gain * self.conv_clamp
        return h if bound is None else h.clamp(-bound, bound)


def resample(h: Tensor, padding: tuple[int, int]) -> Tensor:
    """Each channel padded and convolved with the binomial filter."""
    batch, channels, height, width = h.shape
    h = F.pad(h.reshape(batch * channels, 1, height, width), padding * 2)
    h = F.conv2d(h, binomial_filter()[None, None])
    return h.reshape(batch, channels, *h.shape[2:])


def upsample(h: Tensor) -> Tensor:
    """Zeros between the pixels, then the binomial filter."""
    batch, channels, height, width = h.shape
    spread = h.new_zeros(batch, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = h
    return resample(spread.reshape(batch, channels, 2 * height, 2 * width), (2, 1))


def images(model: StyleGAN2 | TextbookStyleGAN2) -> Images:
    """The image of styles, noise maps and a change of the activation at one layer."""

    def draw(ws: Tensor, noise: Sequence[Tensor], change: Tensor) -> Tensor:
        state = LayerState(ws=ws, noise=tuple(noise))
        for index in range(len(model.layout.channels)):
            if index == PERTURBED_LAYER:
                assert state.h is not None
                state = LayerState(state.h + change, state.ws, state.noise, state.rgb)
            state = model.layer(index, state)
        assert state.rgb is not None
        return (state.rgb + 1) / 2

    return draw


def measure(variant: str, size: int, steps: int, folder: Path) -> dict[str, float]:
    """Seconds of the fastest step and peak resident memory in GB; the image goes to a file."""
    if variant != "plain":
        keep_freed_memory()
    widths = tuple(width for at, width in CONFIG_F.items() if at <= size)
    layout = Layout(channels=widths, z_dim=512, mapping=(512,) * 8)
    tensors = layout.random_tensors(seed=0)
    noise = [t.clone() for name, t in tensors.items() if name.endswith(".noise")]
    if variant in ("plain", "textbook"):
        draw = images(TextbookStyleGAN2(tensors))
    else:
        draw = images(StyleGAN2(tensors, precision=getattr(torch, variant)))
        del tensors
    generator = torch.Generator().manual_seed(1)
    ws = torch.randn(1, 2 * len(widths), 512, generator=generator)
    change = torch.zeros(1, widths[1], 8, 8)
    variables = [v.requires_grad_() for v in (ws, change, *noise)]
    optimiser, target = torch.optim.Adam(variables, lr=1e-3), torch.zeros(1, 3, size, size)
    seconds = []
    for step in range(steps + 1):
        started = time.perf_counter()
        x = draw(ws, noise, change)
        if step == 0:
            torch.save(x.detach(), folder / f"{variant}.pt")
        optimiser.zero_grad()
        (x - target).square().mean().backward()
        optimiser.step()
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": min(seconds[1:]), "gigabytes": peak}


def compare(size: int, steps: int, folder: Path) -> None:
    """Run every variant and print what it took, absolutely and against the textbook."""
    results, x = {}, {}
    for variant in VARIANTS:
        command = [sys.executable, __file__, "--only", variant, "--sizes", str(size)]
        command += ["--steps", str(steps), "--folder", str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results[variant] = json.loads(done.stdout)
        x[variant] = torch.load(folder / f"{variant}.pt", weights_only=True)
    base = results["textbook"]
    print(f"{size}x{size}, {torch.get_num_threads()} threads")
    for variant, found in results.items():
        error = (x[variant] - x["float32"]).abs()
        speed = base["seconds"] / found["seconds"]
        print(
            f"  {variant:9}{found['seconds']:8.2f} s ({speed:5.1f}x faster)"
            f"{found['gigabytes']:7.2f} GB ({found['gigabytes'] / base['gigabytes']:.2f}x)"
            f"   image differs by {error.mean():.1e} on average, {error.max():.1e} at most"
        )


def main() -> None:
    """Command line."""
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--steps", type=int, default=3, help="timed steps; the fastest counts")
    parser.add_argument("--only", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        found = measure(arguments.only, arguments.sizes[0], arguments.steps, arguments.folder)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.sizes:
            compare(size, arguments.steps, Path(folder))


if __name__ == "__main__":
    main()
