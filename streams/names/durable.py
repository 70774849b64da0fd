"""Durable files: data and names synced to the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vsr.errors import EncodeError
from vsr.types import NOTHING, Passed

Commit = Callable[[Path | None, int], None]
"""Takes a segment that is whole, None where frames are files of their own, and how many copied
packets it and those before it hold."""


class LostError(EncodeError):
    """Kept segments are missing, damaged or incompatible, so that a run cannot resume."""


@dataclass(frozen=True, kw_only=True)
class KeptSegments:
    """Segments kept for resuming.

    Attributes:
        folder: Where segments are kept, or images until all are there.
        segments: Segments of an earlier run, in order.
        passed: Frames and packets written by an earlier run.
        seal: Called when the output is complete, before it is renamed.
    """

    folder: Path
    segments: tuple[Path, ...] = ()
    passed: Passed = NOTHING
    seal: Callable[[], None]


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
