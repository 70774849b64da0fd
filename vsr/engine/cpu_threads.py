"""Torch's number of CPU threads, for one thread of the program alone.

``torch.set_num_threads`` sets it for the caller and for every thread that is started later: a
decoder that took one core for itself would leave the network of a second run with one core, too.
OpenMP itself keeps the number for each thread, so that is where it is set.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

NAMES = ("libgomp*.so*", "libiomp5*", "libomp.dylib")
"""OpenMP libraries that builds of torch bring: GNU's, Intel's, LLVM's on macOS."""


_taken = threading.local()
"""``cores``: how many the calling thread had before ``use_one_core``."""


def use_one_core() -> None:
    """Let torch's operations in the calling thread, and in no other, run on one core.

    Where torch's OpenMP library is not found, their number of cores stays as it was.
    """
    # Torch sets the number itself, once in each thread, when it first needs it: before this.
    cores = torch.get_num_threads()
    library = _openmp()
    if library is not None:
        _taken.cores = max(cores, getattr(_taken, "cores", 1))
        library.omp_set_num_threads(1)


@contextmanager
def all_cores() -> Iterator[None]:
    """Let a thread that uses one core use all of them within this context, for a network."""
    library, cores = _openmp(), getattr(_taken, "cores", 1)
    if library is None or cores == 1:
        yield
        return
    library.omp_set_num_threads(cores)
    try:
        yield
    finally:
        library.omp_set_num_threads(1)


@cache
def _openmp() -> ctypes.CDLL | None:
    package = Path(torch.__file__).parent
    folders = (package / "lib", package.parent / "torch.libs")
    for path in (p for name in NAMES for folder in folders for p in folder.glob(name)):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        if hasattr(library, "omp_set_num_threads"):
            return library
    return None
