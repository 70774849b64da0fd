"""Writing a file as a single segment, so that its packets can be changed before muxing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vsr.errors import OpenError
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.segments.target import SegmentedTarget
from vsr.streams.encode.segments.writer import SegmentWriter
from vsr.streams.names.durable import KeptSegments
from vsr.types import Chunk


class OneSegmentWriter:
    """A ``SegmentWriter`` with a temporary folder of its own.

    Attributes:
        notes: Differences from what was asked for or is usual, a sentence each.
        added_frames: See ``SegmentWriter``.
    """

    added_frames = 0

    def __init__(self, request: EncodeRequest) -> None:
        """Check everything, and try the encoder with one frame.

        Args:
            request: What is to be encoded; the target is a file.

        Raises:
            NotSegmentable: The same can be written, but only in one go.
            VSRError: See ``SegmentedTarget``.
        """
        path = Path(request.target)
        try:
            self._folder = TemporaryDirectory(prefix=".vsr-", dir=path.parent)
        except OSError as error:
            raise OpenError(f"'{path}' cannot be written ({error.strerror})") from error
        try:
            kept = KeptSegments(folder=Path(self._folder.name), seal=lambda: None)
            self._writer = SegmentWriter(SegmentedTarget(request), kept)
        except BaseException:
            self._clean()
            raise
        self.notes = self._writer.notes

    def write(self, chunk: Chunk) -> None:
        """Append frames, as ``SegmentWriter.write``."""
        self._writer.write(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets, as ``SegmentWriter.write_packets``."""
        self._writer.write_packets(packets)

    def finish(self, *, partial: bool = False) -> str:
        """Join and name the file, as ``SegmentWriter.finish``."""
        output = self._writer.finish(partial=partial)
        self._clean()
        return output

    def abort(self) -> None:
        """End the encoder and remove what was written; never raises."""
        self._writer.abort()
        self._clean()

    def _clean(self) -> None:
        with suppress(OSError):
            self._folder.cleanup()
