"""Compare the images that two versions of the package recover, to the bit.

    python benchmarks/same_images.py save build/before    # with the one version installed
    python benchmarks/same_images.py save build/after     # with the other
    python benchmarks/same_images.py compare build/before build/after

`save` recovers generated images with every method on two tasks or more, with three generators, on
one thread; a run that was stopped goes on. `compare` prints for each whether the images are
identical, the PSNR of both and the largest difference, and exits with 1 if csgm, ilo or pulse
differ at all, or another method by more than 0.01 dB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

import interlayer as il
from interlayer.generators import ToyGenerator
from interlayer.media.files import replacing
from interlayer.memory import keep_freed_memory

EXACT = ("csgm", "ilo", "pulse")
PIXELS = ("inpaint:0.1", "denoise:0.1")
TASKS = {
    **dict.fromkeys(EXACT, ("inpaint:0.1", "circulant:0.1")),
    **dict.fromkeys(("sparse-gen", "sgilo", "wplus", "ilo-mse-lpips", "pulse-lpips"), PIXELS),
    "auto": ("inpaint:0.1", "circulant:0.1", "superres:4", "denoise:0.1", "colorize", "phase:0.5"),
    "robust": ("inpaint:0.1", "circulant:0.1"),
    "interpolation": ("inpaint:0.1", "inpaint:0.5"),
    "bicubic": ("superres:4", "superres-avg:4"),
    "bm3d": ("denoise:0.1", "denoise:0.25"),
    **dict.fromkeys(("tv", "wavelet", "dip"), PIXELS),
}
CLASSICAL = ("interpolation", "bicubic", "bm3d", "tv", "wavelet", "dip")
STEPS, AUTO_STEPS = 100, 98
# Too slow for `faces` on one thread, and too small pictures for the toy.
LEFT_OUT = {
    "faces": ("dip", "robust", "wplus", "ilo-mse-lpips", "pulse-lpips", "sgilo"),
    "toy": ("robust", "wplus", "ilo-mse-lpips", "pulse-lpips", "bm3d"),
    "faces64": (),
}
TRUTH, OPERATOR, METHOD = 1007, 5, 3  # seeds; no method starts at the truth's


def runs(name: str) -> Iterator[tuple[str, str]]:
    """Pairs of a method and a task for one generator."""
    for method, tasks in TASKS.items():
        for task in tasks:
            slow = name == "faces" and task in ("colorize", "phase:0.5")
            if method not in LEFT_OUT[name] and not slow:
                yield method, task


def save(folder: Path) -> None:
    """Recover what the folder lacks."""
    keep_freed_memory()
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for name in LEFT_OUT:
        generator = ToyGenerator() if name == "toy" else il.load(name)
        with torch.no_grad():
            x = generator(generator.sample([TRUTH]))
        for method, task in runs(name):
            file = folder / f"{name} {method} {task}.pt"
            if file.exists():
                continue
            physics = il.make_physics(task, tuple(x.shape[1:]), seed=OPERATOR)
            steps = AUTO_STEPS if method == "auto" else STEPS
            *_, state = il.reconstruct(
                il.Problem(physics, physics(x)),
                generator,
                method,
                steps=None if method in CLASSICAL else steps,
                settings=il.Settings(seed=METHOD),
            )
            with replacing(file) as temporary:
                torch.save({"x": x, "x_hat": state.solution().x_hat}, temporary)
            print(file.name, flush=True)


def compare(before: Path, after: Path) -> int:
    """Print a line for each run; 1 if two versions differ by more than they may, else 0."""
    status = 0
    for file in sorted(before.glob("*.pt")):
        if not (after / file.name).exists():
            print(f"{file.stem}: missing")
            status = 1
            continue
        a, b = (torch.load(folder / file.name, weights_only=True) for folder in (before, after))
        quality = [-10 * (v["x_hat"] - v["x"]).square().mean().log10().item() for v in (a, b)]
        identical = torch.equal(a["x_hat"], b["x_hat"])
        apart = (a["x_hat"] - b["x_hat"]).abs().max().item()
        word = "identical" if identical else "differs"
        print(f"{file.stem:34} {word:>9} {quality[0]:9.4f} {quality[1]:9.4f} {apart:9.1e}")
        exact = file.stem.split(" ")[1] in EXACT
        if not identical and (exact or abs(quality[0] - quality[1]) > 0.01):
            status = 1
    return status


if __name__ == "__main__":
    verb, *folders = sys.argv[1:] or ["help"]
    if verb not in ("save", "compare") or len(folders) != 1 + (verb == "compare"):
        sys.exit(__doc__)
    sys.exit(save(Path(folders[0])) if verb == "save" else compare(*map(Path, folders)))
