"""Writing a video file in segments, so that encoded frames survive an interruption.

Every segment is one run of the encoder, from a key frame to its last frame, kept with the copied
packets of its time as a NUT file: NUT keeps every time exactly. In the end the segments are joined,
without encoding anything again, and the source's other streams are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vsr.streams.encode.segments.encoder import SegmentEncoder
from vsr.streams.encode.segments.nut_join import check_alike
from vsr.streams.encode.segments.target import SegmentedTarget
from vsr.streams.names.durable import Commit, KeptSegments
from vsr.types import Chunk


class SegmentWriter:
    """Encodes frames and copied packets into segments, and joins them.

    Attributes:
        notes: Differences from what was asked for or is usual, a sentence each.
        added_frames: 0: encodings that add or leave out frames are not written in segments.
    """

    added_frames = 0

    def __init__(self, target: SegmentedTarget, kept: KeptSegments) -> None:
        """Begin with the segments of an earlier run, if any.

        Args:
            target: The file that the segments will make.
            kept: See ``open_kept_writer``.
        """
        self._target = target
        self.notes = target.plan.notes
        self._kept, self._segments = kept, list(kept.segments)
        self._packets = kept.passed.packets
        self._encoder = SegmentEncoder(target.plan, kept.folder, target.size)

    def write(self, chunk: Chunk) -> None:
        """Append frames, in order.

        Raises:
            EncodeError: ffmpeg has stopped, for the reason given, or a segment cannot be kept.
            StreamTimeout: ffmpeg takes nothing any more.
        """
        self._encoder.write(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        """Append packets of the copied streams; they belong to the writer afterwards.

        Raises:
            EncodeError: ffmpeg has stopped, or a packet cannot be copied.
        """
        self._packets += len(packets)
        self._encoder.write_packets(packets)

    def cut(self, commit: Commit) -> None:
        """End the segment; the next frame begins another.

        Args:
            commit: Called in another thread once the segment is whole.

        Raises:
            EncodeError: The segment before cannot be kept.
        """
        packets = self._packets

        def keep(path: Path) -> None:
            self._segments.append(path)
            check_alike(self._segments[0], path)
            commit(path, packets)

        self._encoder.cut(keep)

    def finish(self, *, partial: bool = False) -> str:
        """Join the segments, give the file its name, and return it.

        Raises:
            EncodeError: ffmpeg failed, or no frame was ever written.
            StreamTimeout: ffmpeg makes no progress any more.
        """
        self.cut(lambda _path, _packets: None)
        self._encoder.wait()
        return self._target.join(self._segments, seal=self._kept.seal, partial=partial)

    def abort(self) -> None:
        """End ffmpeg at once; segments that were ended are kept. Never raises."""
        self._encoder.abort()
        self._target.remove()
