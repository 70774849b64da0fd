"""Memory in use, free memory, and recognising out-of-memory errors."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from pathlib import Path

import torch

from vsr.engine.cgroups import bytes_left_in_cgroups
from vsr.errors import ConfigurationError
from vsr.units import size_bytes

SHARE = 0.8
"""Share of the free memory that a run may take by default."""


OUT_OF_MEMORY = (
    "can't allocate memory",
    "bad_alloc",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Fragments of messages about it: torch's of the host, C++'s, the driver's, and those of libraries
that allocate by themselves."""


def peak_host_bytes() -> int:
    """Largest resident size this process has had.

    Linux's ``getrusage`` includes the size of the process that started it; the program's own is in
    its status.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8"))
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_device_bytes(device: torch.device) -> int | None:
    """Peak of tensor memory on a CUDA device since ``forget_device_peak``; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def forget_device_peak(device: torch.device) -> None:
    """Reset the peak of a CUDA device to the memory that tensors hold now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def resident_bytes() -> int:
    """Memory this process holds now."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return peak_host_bytes()
    return int(statm.read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def give_back() -> None:
    """Return freed memory to the system where the C library keeps it for later: glibc's heaps."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a CUDA device, or on the host within the limits of control groups.

    Memory that torch caches on the device counts as free.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return _half_of_all()
    found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
    available = int(found[1]) * 1024 if found else _half_of_all()
    return min(available, bytes_left_in_cgroups(), address_space_left())


def address_space_left() -> int:
    """Bytes that this process may still map (``ulimit -v``); ``sys.maxsize`` without a limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not statm.exists():
        return sys.maxsize
    mapped = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    return max(0, limit - mapped)


def budget_bytes(asked: str | None, device: torch.device) -> int:
    """Memory budget of a run; on the host it includes what the process already holds.

    Args:
        asked: ``4G``, ``800M``, or ``75%`` of what is free; None for the usual share.
        device: Where the network is.

    Raises:
        ConfigurationError: Something else.
    """
    held = 0 if device.type == "cuda" else resident_bytes()
    if asked is None:
        return held + round(SHARE * free_bytes(device))
    share = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", asked.strip())
    if share and 0 < float(share[1]) <= 100:
        return held + round(float(share[1]) / 100 * free_bytes(device))
    try:
        return size_bytes(asked)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"memory is {asked!r}; give a size (4G, 800M) or a share (75%)"
        ) from error


def _half_of_all() -> int:
    """Half of the physical memory, for systems that do not report what is free."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: torch has a type for its own, others only a message."""
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or any(words in str(error) for words in OUT_OF_MEMORY)


def may_be_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation may have failed: oneDNN reports that and other faults alike."""
    return is_out_of_memory(error) or "could not create a primitive" in str(error)
