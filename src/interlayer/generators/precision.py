"""Which number type this machine computes in fastest."""

from __future__ import annotations

import functools
import time

import torch

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
