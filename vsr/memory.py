"""How much memory a run took, and whether an error means that there was not enough."""

from __future__ import annotations

import resource
import sys

import torch


def peak_host_bytes() -> int:
    """Largest resident size this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_device_bytes(device: torch.device) -> int | None:
    """Most memory that tensors held on a CUDA device; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: CUDA has a type for that, the CPU only a message."""
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or any(words in str(error) for words in ("can't allocate memory", "bad_alloc"))


def may_be_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation may have failed: oneDNN says the same of that and of other faults."""
    return is_out_of_memory(error) or "could not create a primitive" in str(error)
