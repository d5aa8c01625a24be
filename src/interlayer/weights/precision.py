"""Which number type this machine computes in fastest."""

from __future__ import annotations

import functools
import hashlib
import platform
import time
from pathlib import Path

import torch

from interlayer.media.files import write_text
from interlayer.weights.cache import cache_folder

CHANNELS, PIXELS, REPEATS = 128, 128**2, 5


@functools.cache
def fastest_precision(device: str = "cpu") -> torch.dtype:
    """``torch.bfloat16`` where it makes a 1x1 convolution at least 1.5 times faster, else float32.

    A trial of some 30 ms on the CPU, once per process: some processors have bfloat16 arithmetic,
    others emulate it. On CUDA the driver knows; elsewhere it is float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float32
    if kind != "cpu":
        return torch.float32
    return (
        torch.bfloat16
        if _seconds(torch.float32) > 1.5 * _seconds(torch.bfloat16)
        else torch.float32
    )


def _seconds(dtype: torch.dtype) -> float:
    """The fastest of some products of activations and a 1x1 kernel."""
    x, kernel = (
        torch.ones(PIXELS, CHANNELS, dtype=dtype),
        torch.ones(CHANNELS, CHANNELS, dtype=dtype),
    )
    took = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        torch.mm(x, kernel)
        took.append(time.perf_counter() - started)
    return min(took)


def precision_here(device: str = "cpu") -> torch.dtype:
    """`fastest_precision`, tried once on a machine and remembered in the cache.

    Results of one seed differ between number types, so that a trial on a busy moment must not
    change them from run to run.
    """
    machine = f"{device} {platform.machine()} {_processor()} torch {torch.__version__}"
    known = cache_folder() / f"precision-{hashlib.sha256(machine.encode()).hexdigest()[:12]}.txt"
    named = {str(dtype): dtype for dtype in (torch.float32, torch.bfloat16)}
    text = known.read_text().strip() if known.is_file() else ""
    if text in named:
        return named[text]
    fastest = fastest_precision(device)
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        write_text(known, f"{fastest}\n")
    except OSError:  # a cache that cannot be written only costs the trial
        pass
    return fastest


def _processor() -> str:
    """The processor's name and its instructions, where the system tells."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    lines = info.read_text().splitlines()
    return " ".join(dict.fromkeys(v for v in lines if v.startswith(("model name", "flags"))))
