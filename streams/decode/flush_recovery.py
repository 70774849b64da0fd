"""Recovering the last frames of a damaged stream from a frame-threaded decoder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import cast

from av import CodecContext, Packet, VideoCodecContext, VideoFrame
from av.codec.codec import Capabilities
from av.error import FFmpegError
from av.stream import Stream
from av.video.stream import VideoStream

MAX_PACKETS = 1000
"""Kept in all, from one key frame on: a stream with fewer key frames ends without this help, and a
long one without times, of which no packet is known to be done with."""


class FlushRecovery:
    """Decodes the packets since a key frame again, without threads, if frames are missing.

    Flushing a decoder ends at the first packet that fails: frames that other threads had ready are
    then out of PyAV's reach, more of them the more cores there are, and it need not say so.

    Attributes:
        failures: Packets that did not decode when they were decoded once more.
        held: Packets kept to be decoded once more.
    """

    def __init__(self, video: VideoStream) -> None:
        self._video = video
        self._groups: deque[list[Packet[Stream]]] = deque([[]])
        self.failures = self.held = 0
        self._missing = self._shown = 0
        self._last_pts: int | None = None
        self._whole = True

    def sent(self, packet: Packet[Stream]) -> None:
        """Note a packet sent to the decoder."""
        if not packet.size:
            return
        self._missing += 1
        if packet.is_keyframe:
            self._groups.append([])
        self._groups[-1].append(packet)
        self.held += 1
        while self.held > MAX_PACKETS:
            self._release()

    def shown(self, frame: VideoFrame) -> None:
        """Note a decoded frame; packets that no later frame needs are released."""
        self._missing -= 1
        self._shown += 1
        self._last_pts = frame.pts
        while len(self._groups) > 1 and _begins_by(self._groups[1], frame.pts):
            self._release()

    def _release(self) -> None:
        """Release the oldest packets, up to a key frame."""
        self.held -= len(self._groups.popleft())
        self._groups = self._groups or deque([[]])
        self._whole = False

    def lost(self) -> list[VideoFrame]:
        """The frames after the last one shown; called once, after the flush."""
        threaded = self._video.codec_context.codec.capabilities & Capabilities.frame_threads
        if self._missing <= 0 or not threaded:
            return []
        found: list[VideoFrame] | None = None if self._shown else []
        for number, frame in enumerate(self._decode_again(), 1):
            if self._is_last(number, frame):
                found = []
            elif found is not None:
                found.append(frame)
        return found or []

    def _is_last(self, number: int, frame: VideoFrame) -> bool:
        """Whether this frame was the last one shown; by number while no packet is forgotten."""
        return number == self._shown if self._whole else frame.pts == self._last_pts

    def _decode_again(self) -> Iterator[VideoFrame]:
        decoder = _single(self._video.codec_context)
        for packet in [*chain.from_iterable(self._groups), None]:
            try:
                yield from decoder.decode(packet)
            except (FFmpegError, OSError):
                self.failures += 1


def _begins_by(group: list[Packet[Stream]], pts: int | None) -> bool:
    begin = group[0].pts
    return begin is not None and pts is not None and begin <= pts


def _single(context: VideoCodecContext) -> VideoCodecContext:
    """A decoder of the same stream without threads over frames."""
    decoder = cast("VideoCodecContext", CodecContext.create(context.name, "r"))
    decoder.thread_type = "SLICE"
    decoder.codec_tag = context.codec_tag
    decoder.extradata = context.extradata
    decoder.width, decoder.height = context.width, context.height
    return decoder
