"""Number type in which this machine computes fastest."""

from __future__ import annotations

import functools
import hashlib
import platform
import time
from pathlib import Path

import torch

from interlayer.errors import InputError
from interlayer.media.files import write_text
from interlayer.weights.cache import cache_folder

_CHANNELS, _PIXELS, _REPEATS = 128, 128**2, 5


def precision_here(device: str = "cpu") -> torch.dtype:
    """Return `fastest_precision` of a device, tried once on a machine and kept in the cache.

    The results of one seed differ between number types: a trial at a busy moment must not change
    them from run to run.
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
    except (OSError, InputError):  # a cache that cannot be written only costs the trial
        pass
    return fastest


@functools.cache
def fastest_precision(device: str = "cpu") -> torch.dtype:
    """Return bfloat16 where it makes a 1x1 convolution at least 1.5 times faster, else float32.

    On the CPU a trial of some 30 ms decides, once per process: some processors have bfloat16
    arithmetic, others emulate it. On CUDA the driver knows, and elsewhere it is float32.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        wins = torch.cuda.is_bf16_supported(False)
    else:
        wins = kind == "cpu" and _seconds(torch.float32) > 1.5 * _seconds(torch.bfloat16)
    return torch.bfloat16 if wins else torch.float32


def _seconds(dtype: torch.dtype) -> float:
    """Time of the fastest of some products of activations and a 1x1 kernel."""
    x = torch.ones(_PIXELS, _CHANNELS, dtype=dtype)
    kernel = torch.ones(_CHANNELS, _CHANNELS, dtype=dtype)
    took = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        torch.mm(x, kernel)
        took.append(time.perf_counter() - started)
    return min(took)


def _processor() -> str:
    """Name of the processor and its instructions, where the system tells them."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor()
    telling = (v for v in info.read_text().splitlines() if v.startswith(("model name", "flags")))
    return " ".join(dict.fromkeys(telling))  # every core says the same
