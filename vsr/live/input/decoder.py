"""Decoding video packets and counting damage."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from av import Packet, VideoFrame
from av.error import FFmpegError
from av.stream import Stream
from av.video.stream import VideoStream

from vsr.errors import DecodeError
from vsr.live.timing.clock import rate_of
from vsr.streams.decode.demuxer import StampedFrame
from vsr.streams.decode.probe import time_base
from vsr.streams.names.container import reason

MAX_CORRUPT_IN_A_ROW = 250

REORDERED = 32
"""Packets that a decoder may hold at most: a damaged frame is of one of the last."""


class Decoder:
    """The video decoder of one connection. Used by one thread.

    Args:
        video: Video stream of an open container.
        name: Name of the source in messages.

    Attributes:
        corrupt: Number of damaged packets and frames.
    """

    def __init__(self, video: VideoStream, name: str) -> None:
        self.corrupt = 0
        self._video, self._name = video, name
        # Threads over frames would hold back as many frames as there are threads.
        video.thread_type = "SLICE"
        self._corrupt_in_a_row = 0
        self._damaged: deque[int | None] = deque(maxlen=REORDERED)
        self._last_pts: int | None = None

    def decode(self, packet: Packet[Stream]) -> Iterator[StampedFrame]:
        """Yield the frames of a packet; none if it does not decode.

        Raises:
            DecodeError: No packet has decoded for a long time.
        """
        if packet.is_corrupt:
            self._note_damage(packet.pts)
        try:
            frames = self._video.decode(packet)
        except (FFmpegError, OSError) as error:
            self._note_damage(packet.pts)
            self._corrupt_in_a_row += 1
            if self._corrupt_in_a_row >= MAX_CORRUPT_IN_A_ROW:
                raise DecodeError(
                    f"{self._name}: {self._corrupt_in_a_row} packets in a row do not decode "
                    f"({reason(error)})"
                ) from error
            return
        for frame in frames:
            self._corrupt_in_a_row = 0
            if frame.is_corrupt:
                self._note_damage(frame.pts)
            yield StampedFrame(frame, self._pts(frame))

    def last(self) -> Iterator[StampedFrame]:
        """Flush the decoder."""
        packet: Packet[Stream] = Packet()
        packet.stream = self._video
        yield from self.decode(packet)

    def _note_damage(self, pts: int | None) -> None:
        """Count a damaged packet or its frame once."""
        if pts is None or pts not in self._damaged:
            self._damaged.append(pts)
            self.corrupt += 1

    def _pts(self, frame: VideoFrame) -> int:
        known = frame.pts if frame.pts is not None else frame.dts
        if known is None:
            rate = rate_of(self._video.average_rate)
            step = max(1, round(1 / (rate * time_base(self._video))))
            known = 0 if self._last_pts is None else self._last_pts + step
        self._last_pts = known
        return known
