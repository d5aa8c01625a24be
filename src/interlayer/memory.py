"""Free memory, and a C library that keeps what is freed where it is told to."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_CGROUP = Path("/sys/fs/cgroup")

_keeps = False  # whether this process keeps what it frees


def available_memory(device: torch.device) -> int:
    """Bytes to be had without swapping, within a container's limit; 0 where nothing tells them."""
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
    """Make glibc reuse freed memory instead of returning it to the system; True if it does.

    By default glibc gives every tensor over 32 MB fresh pages, which the kernel must clear at first
    touch. A 1024x1024 generator allocates dozens of such tensors a step, and on the CPU that costs
    more than its arithmetic: see docs/performance.md.

    The setting holds for the whole process, other libraries' memory included, and for good: memory
    stays at its peak but for `return_freed_memory`. Hence no computation here makes it. The command
    line and the workers of studies do; a program calls it once, before it computes. Other C
    libraries than glibc are left alone.
    """
    global _keeps
    mallopt = _from_libc("mallopt")
    if mallopt is None:
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, 256 << 20))
    taken = [mallopt(parameter, value) for parameter, value in settings]
    _keeps = all(taken)
    return _keeps


def return_freed_memory() -> bool:
    """Give the system what is free right now; True if there was any.

    Called between two stages, which need blocks of other sizes: else the holes that one leaves add
    to the memory of the next. Does nothing unless `keep_freed_memory` was called in this process,
    as the system otherwise has the large blocks back already.
    """
    malloc_trim = _from_libc("malloc_trim") if _keeps else None
    return malloc_trim is not None and malloc_trim(0) == 1


def _from_libc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
