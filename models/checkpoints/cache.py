"""The folder of pulled weights, which every later run reads.

A file gets its final name only when it is complete and verified. One process at a time downloads a
file; others wait for it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from vsr.errors import DownloadError
from vsr.files import sha256_of
from vsr.models.checkpoints.model import HASH_DIGITS, OfficialFile, Release

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """``$VSR_HOME``, or the platform's cache folder; it may not exist."""
    home = os.environ.get("VSR_HOME")
    if home:
        return Path(home).expanduser()
    return platformdirs.user_cache_path("vsr", appauthor=False)


def cached_path(file: OfficialFile) -> Path:
    """Path of a pulled file."""
    return cache_folder() / file.name


def part_of(path: Path) -> Path:
    """Path of a file while it is downloaded."""
    return path.with_name(f"{path.name}.part")


def is_cached(release: Release) -> bool:
    """Whether all files of a release exist; their contents are not checked."""
    return all(cached_path(file).is_file() for file in release)


def is_right(path: Path, file: OfficialFile) -> bool:
    """Whether a file exists with the official content."""
    return path.is_file() and sha256_of(path).startswith(file.sha256)


def accept(part: Path, file: OfficialFile, source: str) -> Path:
    """Rename a downloaded file, or remove it if it is not the official one.

    Args:
        part: The complete download.
        file: The official file.
        source: Origin of the file, for the message.

    Raises:
        DownloadError: It is not the official file.
    """
    digest = sha256_of(part)
    if not digest.startswith(file.sha256):
        part.unlink()
        right = file.sha256 if len(file.sha256) == HASH_DIGITS else f"{file.sha256}…"
        raise DownloadError(
            f"{source} is not the official file: its SHA-256 is {digest}, not {right}; "
            "it was removed, pull again or give another base address with --mirror"
        )
    if len(file.sha256) < HASH_DIGITS:
        log.warning(
            "of the SHA-256 of %s only %s… is published, which agrees; it is %s",
            file.name,
            file.sha256,
            digest,
        )
    path = cached_path(file)
    part.replace(path)
    return path


@contextmanager
def alone_at(part: Path) -> Iterator[None]:
    """Lock a partial file for this process; waits while another process holds it.

    The lock is on the file itself. A process that has waited may hold the lock of a file that was
    renamed or removed meanwhile, and has to check again.

    Raises:
        OSError: The folder cannot be written.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.warning("another process brings '%s': waiting for it", part)
                fcntl.flock(file, fcntl.LOCK_EX)
            if not part.exists() or not os.path.samestat(part.stat(), os.fstat(file.fileno())):
                continue
            try:
                yield
            finally:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
            return
