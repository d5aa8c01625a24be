"""Memory: how much is free, and the C library's allocator, told to keep what is freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4

_CGROUP = Path("/sys/fs/cgroup")


def available_memory(device: torch.device) -> int:
    """Bytes that can be had without swapping, within a container's limit; 0 where none can tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return 0
    available = psutil.virtual_memory().available
    try:
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # no container, or one without a limit, which reads "max"
        return available
    return min(available, limit - used)


def keep_freed_memory() -> bool:
    """Make glibc reuse freed memory instead of returning it to the system; True if it did.

    By default glibc gives every tensor over 32 MB fresh pages, which the kernel must clear at first
    touch. A 1024x1024 generator allocates dozens of such tensors a step, and on the CPU that costs
    more than its arithmetic: see docs/performance.md. The setting is the process's, costs nothing
    but memory kept at its peak, and is left alone on other C libraries.
    """
    mallopt = _from_libc("mallopt")
    if mallopt is None:
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, 256 << 20))
    return all([mallopt(parameter, value) for parameter, value in settings])


def return_freed_memory() -> bool:
    """Give the system what is free right now; True if there was any.

    Between two stages, which need blocks of other sizes: else holes of the one add to the next.
    """
    malloc_trim = _from_libc("malloc_trim")
    return malloc_trim is not None and malloc_trim(0) == 1


def _from_libc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
