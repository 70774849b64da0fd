"""Sending films to workers that do not see them, and fetching their segments."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from vsr.address import names_file
from vsr.cluster.pool import Pool
from vsr.cluster.shards import Shard
from vsr.cluster.tasks import ShardResult, Storage, token_of
from vsr.errors import EncodeError, MissingDependency, OpenError
from vsr.files import sha256_of
from vsr.resume.compatibility import fingerprint
from vsr.resume.journal import FinishedShard, Journal, KeptSegment
from vsr.streams.encode.segments.encoder import SEGMENT
from vsr.streams.names.container import reason
from vsr.streams.names.formats import NUT

COPIED_BYTES = 1 << 20
PIECE_BYTES = 1 << 26
"""Bytes of each piece of a film in Ray's object store, which moves large objects best."""


class Unlike(EncodeError):
    """A result that differs from the plan, or from the file that its worker has written."""


def describe_storage(source: str, journal: Journal, address: str | None) -> Storage:
    """Describe where a film and its segments are; with an address the film is copied there.

    Raises:
        OpenError: The address cannot be written.
    """
    storage = Storage(
        source=source,
        source_print=fingerprint(source),
        folder=str(journal.folder.resolve()),
        token=token_of(journal.folder),
    )
    if address is None:
        return storage
    folder = f"{address.rstrip('/')}/{storage.token[:16]}"
    copy = f"{folder}/{Path(source).name}"
    if names_file(source):
        _upload(Path(source), copy)
    return replace(storage, address=folder, copy=copy if names_file(source) else None)


def with_pieces(storage: Storage, pool: Pool) -> Storage:
    """The same, with the film in Ray's object store.

    Raises:
        OpenError: It cannot be read, or is a folder of images.
    """
    path = Path(storage.source)
    if not path.is_file():
        raise OpenError(
            f"{storage.source!r} is not on all machines; put it where they see it under the same "
            "name"
        )
    return replace(storage, pieces=[pool.share(data) for data in _read(path)])


def collect(result: ShardResult, shard: Shard, folder: Path) -> FinishedShard:
    """Check a result, and bring its segments into the journal's folder if they are not there.

    Raises:
        Unlike: Something is missing, or differs from the file that the worker has written.
        EncodeError: The disk is full.
    """
    done = result.done
    if (done.frames, done.first_pts, done.last_pts) != (
        shard.frames,
        shard.first_pts,
        shard.last_pts,
    ):
        raise Unlike(f"shard {shard.number + 1} came back with {done.frames} frames")
    if result.contents or result.addresses:
        done = replace(done, segments=tuple(_bring(result, folder)))
    for segment in done.segments:
        try:
            digest = sha256_of(folder / segment.name)
        except OSError as error:
            raise Unlike(f"'{folder / segment.name}' cannot be read ({error})") from error
        if digest != segment.sha256:
            raise Unlike(f"'{folder / segment.name}' differs from what {result.worker} has written")
    return done


def remove_copy(storage: Storage) -> None:
    """Remove the film's copy from the shared storage; never raises."""
    if storage.address is not None:
        _remove(storage.address, recursive=True)


def check_storage(address: str) -> None:
    """Refuse an address that leads nowhere, before any work is done for it.

    Raises:
        MissingDependency: fsspec is not installed.
        OpenError: No file system can be opened at the address.
    """
    _filesystem(address)


def open_shared(address: str, mode: str) -> Any:
    """Open a file at an fsspec address."""
    return _fsspec().open(address, mode)


def _bring(result: ShardResult, folder: Path) -> Iterator[KeptSegment]:
    """Write segments under names of their own."""
    for i, segment in enumerate(result.done.segments):
        try:
            descriptor, name = mkstemp(dir=folder, prefix=SEGMENT, suffix=NUT)
            with os.fdopen(descriptor, "wb") as file:
                if result.addresses:
                    with open_shared(result.addresses[i], "rb") as remote:
                        shutil.copyfileobj(remote, file, COPIED_BYTES)
                else:
                    file.write(result.contents[i])
        except Exception as error:  # file systems have errors of their own
            raise EncodeError(f"'{folder}' cannot be written ({reason(error)})") from error
        if result.addresses:
            _remove(result.addresses[i])
        yield replace(segment, name=Path(name).name)


def _remove(address: str, *, recursive: bool = False) -> None:
    """Remove a file or folder; never raises, as what is left there is harmless."""
    with suppress(Exception):
        filesystem, path = _filesystem(address)
        filesystem.rm(path, recursive=recursive)


def _upload(path: Path, address: str) -> None:
    filesystem, place = _filesystem(address)
    try:
        if filesystem.exists(place) and filesystem.size(place) == path.stat().st_size:
            return
        filesystem.makedirs(place.rpartition("/")[0], exist_ok=True)
        filesystem.put(str(path), place)
    except Exception as error:  # file systems have errors of their own
        raise _no_storage(address, error) from error


def _filesystem(address: str) -> tuple[Any, str]:
    fsspec = _fsspec()
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except Exception as error:  # file systems have errors of their own
        raise _no_storage(address, error) from error
    return filesystem, path


def _no_storage(address: str, error: Exception) -> OpenError:
    return OpenError(f"{address!r} cannot be written ({reason(error)}); give another --storage")


def _fsspec() -> Any:
    """The package fsspec.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependency("--storage needs fsspec; pip install 'vsr-stream[ray]'") from error
    return fsspec


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(PIECE_BYTES):
            yield data
