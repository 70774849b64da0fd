"""Entry point of the command ``vsr``: settings that must precede the import of torch.

Threads of a convolution wait for each other by spinning. Where the same cores decode and encode,
that keeps the encoder off a core that only waits: on two cores, spinning briefly and then sleeping
restored 13.0 frames a second instead of 12.1.

Tensors of a few MiB come and go by the thousand. glibc learns from them to keep all but the
largest on its heap, which then fragments. With a fixed threshold freed tensors go back to the
system at once, and what a run needs can be planned.

`python -m benchmarks.startup` leaves each of them out in turn: on two busy cores a run took 3.4
times the processor time without short spinning, and 1.24 times without the threshold.

Loading torch makes half a million objects and hardly any garbage, which Python's collector would
look through again and again: a fifth of the time until a run begins, and a tenth of a second at its
end, when it looks through all of them once more.

Numpy's linear algebra, which nothing here uses, starts threads that spin until they find no work:
half a tenth of a second of the processor for each core.

Set by the command only, never by importing the package; variables that are set already are left
alone.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vsr.errors import MemoryLimitError

SPIN_COUNT = "1000"
"""Turns a thread waits before it sleeps: some microseconds, instead of milliseconds."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings in ``mallopt``."""

TRIM_THRESHOLD = 64 * 2**20
"""Free bytes at the end of the heap that may stay there."""

MMAP_THRESHOLD = 4 * 2**20
"""Tensors of this many bytes get memory of their own. With 1 MiB a run was a third slower."""

LIVE_MMAP_THRESHOLD = 8 * 2**20
"""The same for `vsr live`, whose memory is not planned: with 4 MiB the system cleared pages for 6
ms a frame of 320x180, with 8 for 2. `vsr restore` gains a hundredth by it, and would take up to a
tenth more memory than it foretells."""

LEAST_ADDRESS_SPACE = 3 << 29
"""Bytes that Python, torch, PyAV and their threads map for the smallest run, rounded up: with 800
MB a library crashed, with 1.05 GB thread-local data could end the process."""

GC_THRESHOLD = 50_000
"""Objects made and not freed until the collector looks through them; Python's own is 700."""


def prepare() -> None:
    """Set the environment before torch is imported."""
    gc.set_threshold(GC_THRESHOLD)
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    set_mmap_threshold(MMAP_THRESHOLD)


@contextmanager
def loading() -> Iterator[None]:
    """Exempt objects imported in this context from garbage collection; commands import torch so.

    Does nothing if torch is loaded already.

    Raises:
        MemoryLimitError: The address space is too small for torch, which would end the process.
    """
    if "torch" in sys.modules:
        yield
        return
    check_address_space()
    with _uncollected():
        yield


def check_address_space() -> None:
    """Refuse a limit (``ulimit -v``) below which native libraries abort instead of raising.

    Raises:
        MemoryLimitError: It is below ``LEAST_ADDRESS_SPACE``.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise MemoryLimitError(
            f"the address space is limited to {limit >> 20} MiB, and the smallest run "
            f"takes {LEAST_ADDRESS_SPACE >> 20}; raise the limit (ulimit -v)"
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def set_mmap_threshold(size: int) -> None:
    """Set glibc's mmap threshold, above which an allocation has its own mapping."""
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
            mallopt(M_MMAP_THRESHOLD, size)


def main() -> None:
    """Run the command line."""
    prepare()
    with _uncollected():
        from vsr.cli.main import main as run
        from vsr.cli.signals import exit_process

    try:
        run()
    except SystemExit as ended:
        exit_process(ended.code if isinstance(ended.code, int) else 0)
