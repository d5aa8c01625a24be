"""The command `interlayer doctor`: what this installation has, and what it lacks."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import NamedTuple

import torch
from packaging.requirements import Requirement

from interlayer.evaluation.quality import metrics
from interlayer.generators import ToyGenerator, draw_truths
from interlayer.memory import available_memory
from interlayer.methods.presets import auto
from interlayer.problem.measurements import measure
from interlayer.solver.by_name import solve
from interlayer.weights import cache
from interlayer.weights.precision import fastest_precision
from interlayer.weights.table import WEIGHTS

GIGABYTE = 1e9
LEAST_MEMORY, LEAST_DISK = 3 * GIGABYTE, 0.5 * GIGABYTE
LEAST_PSNR = 20.0  # dB, of the picture that the self-test recovers; 43 are usual
FOR_DEVELOPERS = ("dev", "test")


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        about: what was looked at, in a word.
        text: what was found.
        advice: what to do about it; empty where nothing has to be done.
        wrong: whether recoveries fail because of it.
    """

    about: str
    text: str
    advice: str = ""
    wrong: bool = False


def examine_installation() -> None:
    """Look at this installation: versions, device, memory, cache, extras, a self-test.

    Exit status 1 means that recoveries fail here; what to do about it is in the line.
    """
    wrong = False
    for finding in findings():
        advice = f"; {finding.advice}" if finding.advice else ""
        print(f"{finding.about:9}  {finding.text}{advice}", flush=True)
        wrong |= finding.wrong
    if wrong:
        sys.exit(1)


def findings() -> Iterator[Finding]:
    """Everything that was found, one after another."""
    yield Finding(
        "versions",
        f"interlayer {version('interlayer')}, deepinv {version('deepinv')}, "
        f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}",
    )
    yield _device()
    yield _memory()
    folder = cache.cache_folder()
    yield _disk(folder)
    yield _weights(folder)
    yield _extras()
    yield _self_test()


def _device() -> Finding:
    dtype = str(fastest_precision()).removeprefix("torch.")
    cores = f"{torch.get_num_threads()} threads on the CPU, where {dtype} is the fastest"
    if torch.cuda.is_available():
        return Finding("device", f"{torch.cuda.get_device_name()}; {cores}", "give --device cuda")
    return Finding("device", f"{cores}; no GPU that PyTorch can use")


def _memory() -> Finding:
    free = available_memory(torch.device("cpu"))
    text = f"{free / GIGABYTE:.1f} GB free"
    if free and free < LEAST_MEMORY:
        return Finding(
            "memory", text, "a picture of 1024 pixels takes up to 2.5 GB: close programs"
        )
    return Finding("memory", text)


def _disk(folder: Path) -> Finding:
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    text = f"{folder}, {free / GIGABYTE:.1f} GB free there"
    if free < LEAST_DISK:
        return Finding("cache", text, "make room, or set INTERLAYER_CACHE to another folder")
    return Finding("cache", text)


def _weights(folder: Path) -> Finding:
    there = [name for name in WEIGHTS if cache.is_cached(name)]
    damaged = [n for n, w in WEIGHTS.items() if n not in there and (folder / w.file).exists()]
    if damaged:
        return Finding("weights", f"{', '.join(damaged)} damaged", f"interlayer pull {damaged[0]}")
    missing = [name for name in WEIGHTS if name not in there]
    text = f"{', '.join(there) or 'none'} in the cache"
    return Finding("weights", text, f"pulled when first used: {', '.join(missing)}" * bool(missing))


def _extras() -> Finding:
    own = distribution("interlayer")
    extras = [e for e in own.metadata.get_all("Provides-Extra", []) if e not in FOR_DEVELOPERS]
    there = [extra for extra in extras if all(map(_is_there, _needs(own.requires, extra)))]
    missing = [extra for extra in extras if extra not in there]
    advice = f"pip install 'interlayer[{','.join(missing)}]' for the rest" * bool(missing)
    return Finding("extras", ", ".join(there) or "none", advice)


def _needs(requirements: list[str] | None, extra: str) -> list[Requirement]:
    """What an extra brings."""
    found = map(Requirement, requirements or [])
    return [r for r in found if r.marker and f'"{extra}"' in str(r.marker)]


def _is_there(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return False


def _self_test() -> Finding:
    """Recover a picture that a small generator has drawn, from half of its pixels."""
    torch.set_num_threads(1)  # so little work is slower with more, and far slower on a busy machine
    generator, started = ToyGenerator(64), time.perf_counter()
    x = draw_truths(generator, [3])
    problem = measure(x, "inpaint:0.5", seed=0)
    method = auto(40).within(generator.num_layers)
    solution = solve(problem.physics, problem.y, generator, method)
    psnr = metrics(solution.x_hat, x)["psnr"]
    text = (
        f"a picture of 64 pixels recovered in {time.perf_counter() - started:.1f} s, {psnr:.1f} dB"
    )
    if psnr < LEAST_PSNR:
        return Finding("self-test", text, "that is too little: please report it", wrong=True)
    return Finding("self-test", text)
