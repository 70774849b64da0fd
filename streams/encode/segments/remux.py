"""Joining segments into one NUT stream, with the source's messages in its coded pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path

import av
from av import Packet
from av.container import OutputContainer
from av.error import FFmpegError
from av.stream import Stream

from vsr.errors import EncodeError
from vsr.streams.encode.command import Output
from vsr.streams.encode.messages import Bitstream, MessageFeed
from vsr.streams.encode.raw_nut import NUT_IN_PIPES, RawLayout
from vsr.streams.names.container import local_name, open_input, reason

_MOST_HELD_BACK = 16
"""Frames that H.264 and HEVC may hold back to put them in order."""

log = logging.getLogger(__name__)


def pieces_with_messages(
    segments: Sequence[Path], source: str, output: Output, layout: RawLayout, carrier: str
) -> Iterator[bytes]:
    """Yield the bytes of all segments as one file, with the messages of a source.

    Args:
        segments: NUT files of one encoding, in order, whose first stream is the picture.
        source: The file that the frames came from.
        output: The output made from the segments.
        layout: Layout of the raw streams that the segments were made of.
        carrier: Codec of the picture in the segments.

    Raises:
        EncodeError: The source or a segment cannot be read.
    """
    sent: list[bytes] = []
    try:
        feed = MessageFeed(source, output.index, 1 / (2 * output.frame_rate))
        with _muxer(sent) as muxer:
            for packet in _packets(segments, muxer, feed, layout, carrier):
                muxer.mux_one(packet)
                yield b"".join(sent)
                sent.clear()
    except (FFmpegError, OSError, ValueError, IndexError) as error:
        raise EncodeError(
            f"captions and other data of frames cannot be copied from {source!r} ({reason(error)})"
        ) from error
    yield b"".join(sent)
    feed.close()
    if feed.unplaced:
        log.warning("%d frames' captions or other data found no frame", feed.unplaced)


class _Sink:
    """File object that the muxer writes into."""

    def __init__(self, sent: list[bytes]) -> None:
        self._sent = sent

    def write(self, data: bytes) -> int:
        self._sent.append(bytes(data))
        return len(data)


def _muxer(sent: list[bytes]) -> OutputContainer:
    options = {"max_interleave_delta": "1", **NUT_IN_PIPES}
    return av.open(_Sink(sent), mode="w", format="nut", container_options=options)


def _packets(
    segments: Sequence[Path],
    muxer: OutputContainer,
    feed: MessageFeed,
    layout: RawLayout,
    carrier: str,
) -> Iterator[Packet[Stream]]:
    copies: list[Stream] = []
    times = _DecodingTimes()
    late_s = layout.lead_s + layout.shift_s
    for segment in segments:
        with open_input(local_name(str(segment)), format="nut") as container:
            copies = copies or [_copy(muxer, stream) for stream in container.streams]
            video = container.streams.video[0]
            units = Bitstream(carrier, video.codec_context.extradata)
            for packet in container.demux():
                if not packet.size:
                    continue
                whole = packet
                if packet.stream_index == video.index and packet.pts is not None:
                    messages = feed.take(packet.pts * Fraction(packet.time_base) - late_s)
                    whole = _with_content(packet, units.insert(bytes(packet), messages))
                    whole.dts = times.next(packet.pts)
                whole.stream = copies[packet.stream_index]
                yield whole


class _DecodingTimes:
    """Times of decoding for the muxer, which wants them in order; NUT itself stores none.

    They are the times of presentation, sorted, late by as many frames as any codec holds back.
    """

    def __init__(self) -> None:
        self._held: list[int] = []
        self._next = 0

    def next(self, pts: int) -> int:
        """The dts of the next packet, which has this pts."""
        if not self._held:
            self._next = pts - _MOST_HELD_BACK - 1
        heappush(self._held, pts)
        if len(self._held) > _MOST_HELD_BACK:
            return heappop(self._held)
        self._next += 1
        return self._next


def _copy(muxer: OutputContainer, stream: Stream) -> Stream:
    copy: Stream = muxer.add_stream_from_template(stream)
    copy.time_base = stream.time_base
    return copy


def _with_content(packet: Packet[Stream], content: bytes) -> Packet[Stream]:
    """A packet of the same times with other bytes."""
    changed: Packet[Stream] = Packet(content)
    changed.time_base, changed.pts = packet.time_base, packet.pts
    changed.duration, changed.is_keyframe = packet.duration, packet.is_keyframe
    return changed
