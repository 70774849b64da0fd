"""Films dropped on the page: streamed to disk, checked, removed by age."""

from __future__ import annotations

import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from vsr.streams.names.formats import VIDEO_SUFFIXES
from vsr.web.errors import RequestError
from vsr.web.probe import read_facts

RESERVE_BYTES = 1 << 30
"""Free space that an upload leaves for the system and for results."""

WRITE_BYTES = 4 << 20
"""Bytes collected for one write: each one costs a change of threads."""

LONGEST_NAME = 200
"""Bytes of a name: the file system takes 255, and results need a few more."""


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """The folder of dropped films.

    Attributes:
        folder: One sub-folder for each film.
        max_bytes: Largest film.
        days: Days after which a film is removed.
    """

    folder: Path
    max_bytes: int
    days: float

    def check(self, size: int | None) -> int:
        """Check a size before anything is received; returns it.

        Raises:
            RequestError: It is unknown, over the limit, or more than the disk has room for.
        """
        if size is None:
            raise RequestError("the size of the film is missing; send Content-Length", 411)
        if size > self.max_bytes:
            raise RequestError(
                f"the film has {_gb(size)}, more than the limit of {_gb(self.max_bytes)}; put it "
                "into the folder itself, or start `vsr web` with a larger --max-upload",
                413,
            )
        free = shutil.disk_usage(self.folder).free - RESERVE_BYTES
        if size > free:
            raise RequestError(
                f"the film has {_gb(size)}, the disk has room for {_gb(max(0, free))}; make room",
                507,
            )
        return size

    async def receive(self, name: str, size: int, stream: AsyncIterator[bytes]) -> Path:
        """Write a film under a temporary name, check it, and rename it.

        Args:
            name: Name that the browser gives; only its last part is used.
            size: Bytes that have to come.
            stream: Content of the file.

        Returns:
            Path of the film.

        Raises:
            RequestError: The name is no video's, or its size is not as announced; nothing is left.
            OpenError: It is no film that can be restored; nothing is left.
        """
        name = clean_name(name)
        folder = self.folder / secrets.token_hex(8)
        await to_thread.run_sync(folder.mkdir)
        part = folder / f".part{Path(name).suffix}"
        try:
            await _write(part, size, stream)
            await to_thread.run_sync(read_facts, part)
            return await to_thread.run_sync(part.rename, folder / name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def remove(self, path: Path) -> None:
        """Remove a dropped film."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def remove_old(self, used: Collection[str]) -> None:
        """Remove films older than ``days``, and the remains of broken uploads.

        Args:
            used: Paths of films that jobs still need.
        """
        oldest = time.time() - self.days * 24 * 3600
        needed = {Path(path).parent for path in used}
        for folder in self.folder.iterdir():
            with suppress(OSError):
                if folder not in needed and folder.stat().st_mtime < oldest:
                    shutil.rmtree(folder)


def clean_name(name: str) -> str:
    """The last part of a name, without characters that cannot be shown or stored.

    Raises:
        RequestError: It is not a video's.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip().lstrip(".")
    suffix = Path(shown).suffix
    if suffix.lower() not in VIDEO_SUFFIXES:
        raise RequestError(
            f"{shown or name!r} is no video; drop one of {' '.join(sorted(VIDEO_SUFFIXES))}", 415
        )
    stem = shown.removesuffix(suffix).encode()[: LONGEST_NAME - len(suffix)]
    return stem.decode("utf-8", "ignore").rstrip() + suffix


async def _write(part: Path, size: int, stream: AsyncIterator[bytes]) -> None:
    received, waiting = 0, bytearray()
    try:
        with part.open("xb") as file:
            async for piece in stream:
                received += len(piece)
                if received > size:
                    break
                waiting += piece
                if len(waiting) >= WRITE_BYTES:
                    await to_thread.run_sync(file.write, waiting)
                    waiting = bytearray()
            await to_thread.run_sync(file.write, waiting)
    except OSError as error:
        raise RequestError(f"the film cannot be written ({error.strerror})", 507) from error
    if received != size:
        raise RequestError(f"{received} bytes came instead of {size}; drop the film again")


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
