"""The first pass over a film: its scenes, a digest of its pixels, and its copied packets."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from vsr.cluster.shards import Scene
from vsr.errors import DecodeError, EncodeError
from vsr.scenes.markers import SceneMarker
from vsr.streams.encode.raw_nut import RawLayout, RawStream
from vsr.streams.names.durable import sync
from vsr.types import Chunk, Reader

CHUNK = 16
"""Frames read at once."""

SAMPLED = 4
"""One pixel in so many rows and columns counts for a digest."""


class FrameDigest:
    """A digest of decoded frames: two readings with equal digests have given the same frames."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, chunk: Chunk, first: int, end: int) -> None:
        """Add the frames of a chunk from ``first`` to ``end``, exclusive."""
        sample = chunk.frames[first:end, :, ::SAMPLED, ::SAMPLED].float()
        self._hash.update(sample.contiguous().cpu().numpy().data)

    def value(self) -> str:
        """The digest so far."""
        return self._hash.hexdigest()[:16]


class SceneCollector:
    """Collects the scenes of marked chunks."""

    def __init__(self) -> None:
        self.scenes: list[Scene] = []
        self._digest = FrameDigest()
        self._frames = self._first = self._last = 0

    def add(self, chunk: Chunk) -> None:
        """Add the next frames."""
        starts = sorted(chunk.scene_starts)
        for first, end in zip([0, *starts], [*starts, len(chunk)], strict=True):
            if first in chunk.scene_starts:
                self.end_scene()
            if first == end:
                continue
            self._first = self._first if self._frames else chunk.pts[first]
            self._digest.add(chunk, first, end)
            self._frames += end - first
            self._last = chunk.pts[end - 1]

    def end_scene(self) -> None:
        """End the scene; nothing happens without a frame in it."""
        if self._frames:
            scene = Scene(
                frames=self._frames,
                first_pts=self._first,
                last_pts=self._last,
                digest=self._digest.value(),
            )
            self.scenes.append(scene)
        self._frames, self._digest = 0, FrameDigest()


class SoundFile:
    """Writes copied packets into a NUT file, at the times of a raw stream.

    Args:
        path: The file; it is made with the first packets.
        layout: Layout of the raw stream that they would be in.

    Raises:
        EncodeError: The disk is full.
    """

    def __init__(self, path: Path, layout: RawLayout) -> None:
        self.path = path
        self._file = path.open("wb")
        self._raw = RawStream(layout, self._write, frames=False)
        self.write_packets = self._raw.write_packets

    def close(self) -> None:
        """Finish the file."""
        self._raw.close()
        self._file.close()
        sync(self.path)

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise EncodeError(f"'{self.path}' cannot be written ({error})") from error


def scan(
    reader: Reader,
    marker: SceneMarker,
    *,
    sound: SoundFile | None,
    on_frames: Callable[[int], None] = lambda _: None,
    stop: threading.Event,
) -> list[Scene] | None:
    """Read a film once.

    Args:
        reader: A reader of the film, from its beginning.
        marker: Marker of the scenes.
        sound: Writer of its copied packets; closed here.
        on_frames: Called with the number of frames read so far.
        stop: Set it to end early.

    Returns:
        The scenes in order; None if it was stopped.

    Raises:
        DecodeError: The source is broken somewhere.
    """
    collector, seen = SceneCollector(), 0
    with closing(sound) if sound is not None else closing(_Nothing()):
        try:
            for chunk in reader.chunks(CHUNK):
                if stop.is_set():
                    return None
                for marked in marker.push(chunk):
                    collector.add(marked)
                packets = reader.take_packets()
                if sound is not None:
                    sound.write_packets(packets)
                seen += len(chunk)
                on_frames(seen)
        except DecodeError as error:
            raise DecodeError(f"{error}; --end leaves out the rest") from error
        for marked in marker.drain():
            collector.add(marked)
        if sound is not None:
            sound.write_packets(reader.take_packets())
    collector.end_scene()
    return collector.scenes


class _Nothing:
    def close(self) -> None:
        pass
