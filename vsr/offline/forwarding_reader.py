"""The base of readers that wrap another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

from vsr.types import Chunk, Reader, StreamInfo


class ForwardingReader:
    """Forwards everything from another reader, and closes it; subclasses change frames."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def info(self) -> StreamInfo:
        return self._reader.info

    @property
    def notes(self) -> Sequence[str]:
        return self._reader.notes

    @property
    def corrupt_frames(self) -> int:
        return self._reader.corrupt_frames

    @property
    def size_changes(self) -> int:
        return self._reader.size_changes

    def chunks(self, size: int) -> Iterator[Chunk]:
        return self._reader.chunks(size)

    def take_packets(self) -> Sequence[Any]:
        return self._reader.take_packets()

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
