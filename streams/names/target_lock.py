"""One run at a time for each target."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vsr.errors import OpenError
from vsr.streams.names.target import LONGEST_NAME, local_target


@contextmanager
def lock_target(target: str) -> Iterator[None]:
    """Keep other runs from writing the same target; pipes, addresses and ``null`` are free.

    The lock is a file ``.NAME.lock`` beside the target. The operating system frees it with the
    process, however that ends; a file that a killed process left is taken over.

    Raises:
        OpenError: Another run writes the target.
    """
    path = _lock_path(target)
    descriptor = None if path is None else _lock(path, target)
    try:
        yield
    finally:
        if path is not None and descriptor is not None:
            with suppress(OSError):
                path.unlink()  # while still locked: a waiting run sees that it is gone
            os.close(descriptor)


def _lock_path(target: str) -> Path | None:
    path = local_target(target)
    if path is None:
        return None
    name = f".{path.name}.lock"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.lock"
    return path.with_name(name) if path.name else None


def _lock(path: Path, target: str) -> int | None:
    """A descriptor of the locked file; None where the folder is not writable (reported later)."""
    while True:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise OpenError(
                f"another run writes {target!r}; wait until it has ended, or give another name"
            ) from error
        if _is_still(descriptor, path):
            return descriptor
        os.close(descriptor)  # its owner ended and removed it in between


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether a path still names the file that is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except OSError:
        return False
