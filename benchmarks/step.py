"""One whole ILO step of the built-in generator against OpenVINO's forward pass alone.

    python benchmarks/step.py

A step is a forward and a backward pass from layer 2 of 9 to 1024x1024, mean squared error, Adam
update and l1 projection, through `iterate`; at layer 0 the whole generator runs. OpenVINO runs the
published models in float32. All take turns in one process, on all cores; medians and their ratios,
the share of the measured matrix-product peak that the 1x1 convolutions reach, and where the time
of a step goes. Written to benchmarks/results/step.json. Needs the extra ``test``.
"""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import openvino
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

import interlayer
from interlayer import Latent, Layer, Method, Settings, Stage, iterate
from interlayer.memory import keep_freed_memory
from interlayer.problem import measure
from interlayer.weights import table, wheels

RESULTS = Path(__file__).parent / "results" / "step.json"
TURNS = 9
PRECISIONS = (torch.float32, torch.bfloat16)
WIDTHS = ((512, 64), (256, 128), (128, 256), (64, 512))
KINDS = {
    "1x1 convolutions": ("convolution 1x1", "bmm"),
    "depthwise convolutions": ("convolution 3x3",),
    "activations": ("leaky_relu", "add_"),
    "style gradients": ("batch_norm_backward", "aten::mul", "aten::sum"),
    "copies and shuffles": ("copy_", "clone", "cat", "fill_"),
    "image, loss and optimiser": (
        *("slow_conv2d", "mm", "aten::add", "aten::sub", "aten::div", "aten::pow"),
        *("index", "where", "clamp", "slice", "select", "stack"),
    ),
    "autograd": ("_Styled", "evaluate_function"),
}


def openvino_forward(folder: Path) -> Callable[[], object]:
    """The published synthesis model, in float32."""
    with zipfile.ZipFile(wheels.download(table.FACES.source, folder)) as archive:
        archive.extractall(folder)
    path = folder / "random_face" / "data" / "SynthesisNetwork.xml"
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(str(path), "CPU", exact)
    w = torch.randn(1, 512).numpy()
    return lambda: model([w])


def steps(generator: interlayer.Generator, precision: torch.dtype, layer: int) -> Iterator:
    """Yield steps of one stage without end, each in the precision, whoever ran before."""
    x = torch.full((1, 3, generator.resolution, generator.resolution), 0.5)
    stage = Stage(Layer(layer, radius=0.05) if layer else Latent(), steps=10**6, lr=1e-3)
    method = Method("stage", (Stage(Latent(), 1), stage))
    problem = measure(x, "inpaint:1", seed=0)
    states = iterate(problem, generator, method, Settings(holdout=0))
    while True:
        generator.precision = precision
        yield next(states)


def seconds(action: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def peak(precision: torch.dtype, size: int = 1024, columns: int = 4096) -> float:
    """TFLOP/s of a large matrix product, by whichever library is the faster one.

    BLAS multiplies the matrices, oneDNN convolves a picture of as many pixels as columns; on some
    machines BLAS reaches half of the other in float32.
    """
    a, b = torch.randn(size, size).to(precision), torch.randn(size, columns).to(precision)
    picture = b.reshape(1, size, 64, columns // 64).contiguous(memory_format=torch.channels_last)
    kernels = a.reshape(size, size, 1, 1)
    rates = []
    for product in (lambda: torch.mm(a, b), lambda: F.conv2d(picture, kernels)):
        product()
        rates.append(2e-12 * size**2 * columns / min(seconds(product) for _ in range(TURNS)))
    return max(rates)


def pointwise(precision: torch.dtype) -> dict[str, float]:
    """TFLOP/s of a 1x1 convolution at each of the generator's widths and sizes."""
    found = {}
    for channels, size in WIDTHS:
        x = torch.randn(1, channels, size, size).to(precision, memory_format=torch.channels_last)
        w = torch.randn(channels, channels, 1, 1).to(precision)
        F.conv2d(x, w)
        fastest = min(seconds(lambda x=x, w=w: F.conv2d(x, w)) for _ in range(TURNS))
        found[f"{channels} at {size}"] = 2e-12 * channels**2 * size**2 / fastest
    return found


def breakdown(step: Callable[[], object]) -> dict[str, float]:
    """Share of the operators' own time by kind of operator."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as record:
        for _ in range(3):
            step()
    took: dict[str, float] = defaultdict(float)
    for event in record.key_averages(group_by_input_shape=True):
        name = event.key
        if "convolution" in name:
            kernels = [s for s in event.input_shapes if len(s) == 4][1:]
            name = f"convolution {'1x1' if kernels and kernels[-1][-1] == 1 else '3x3'}"
        kind = next((k for k, names in KINDS.items() if any(n in name for n in names)), "the rest")
        took[kind] += event.self_cpu_time_total
    total = sum(took.values())
    return {kind: took[kind] / total for kind in (*KINDS, "the rest")}


def main() -> None:
    """Measure, print and write."""
    keep_freed_memory()
    generator = interlayer.load("faces")
    actions: dict[str, Callable[[], object]] = {}
    for precision in PRECISIONS:
        for layer in (0, 2):
            states = steps(generator, precision, layer)
            name = f"{str(precision).removeprefix('torch.')} step at layer {layer}"
            actions[name] = lambda states=states: next(states)
    with tempfile.TemporaryDirectory() as folder:
        actions = {"OpenVINO forward, float32": openvino_forward(Path(folder))} | actions
    took: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(TURNS + 2):
        for name, action in actions.items():
            duration = seconds(action)
            if turn >= 2:
                took[name].append(duration)
    base = median(next(iter(took.values())))
    print(f"{torch.get_num_threads()} threads\n\n| | median | ratio |\n|---|---|---|")
    for name, all_of_them in took.items():
        print(f"| {name} | {median(all_of_them):.3f} s | {median(all_of_them) / base:.2f} |")
    report: dict[str, object] = {"seconds": {name: median(t) for name, t in took.items()}}
    for precision in PRECISIONS:
        name = str(precision).removeprefix("torch.")
        most, reached = peak(precision), pointwise(precision)
        print(f"\n{name}: {most:.2f} TFLOP/s in matrix products; 1x1 convolutions reach")
        print(", ".join(f"{rate / most:.0%} ({shape})" for shape, rate in reached.items()))
        shares = breakdown(actions[f"{name} step at layer 0"])
        print(", ".join(f"{kind} {share:.0%}" for kind, share in shares.items()))
        report[name] = {"peak": most, "pointwise": reached, "shares": shares}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
