"""One connection to a source: frames and audio packets as they arrive."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

import torch
from av import Packet, VideoFrame
from av.audio.stream import AudioStream
from av.error import ExitError, FFmpegError
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from vsr.address import is_address, redact, shown
from vsr.errors import DecodeError, OpenError, StreamTimeout
from vsr.live.input.address import check_host
from vsr.live.input.decoder import Decoder
from vsr.live.input.kind import (
    ends,
    file_format,
    is_paced,
    is_relayed,
    open_options,
    relayed,
)
from vsr.live.input.listener import Published
from vsr.live.input.pending import MOST, goes_back
from vsr.live.input.relay import Relay
from vsr.streams.colour.hdr import read_mastering
from vsr.streams.colour.planes import FrameFormat, read_frame
from vsr.streams.colour.siting import find_chroma_location
from vsr.streams.decode.chunk_builder import ChunkBuilder
from vsr.streams.decode.deinterlace import Deinterlacer
from vsr.streams.decode.demuxer import StampedFrame
from vsr.streams.decode.probe import copied_streams, describe, shown_aspect, time_base
from vsr.streams.names.container import SYSTEM, open_container, reason
from vsr.streams.names.trim import Trim
from vsr.streams.names.trust import Trust
from vsr.types import Chunk, Mastering, StreamInfo

PICTURE_TIMEOUT_S = 15.0
"""A source that sends other packets for longer, but none of the picture, is reconnected."""


def watched(packets: Iterable[Packet[Stream]], picture: int, name: str) -> Iterator[Packet[Stream]]:
    """Yield packets as long as video packets arrive.

    Only the time spent waiting for packets counts, not the consumer's time.

    Args:
        packets: Packets as they arrive.
        picture: Index of the video stream.
        name: Name of the source in messages.

    Raises:
        StreamTimeout: No video packet for ``PICTURE_TIMEOUT_S``.
    """
    missed_s, began = 0.0, time.monotonic()
    for packet in packets:
        missed_s += time.monotonic() - began
        if packet.stream_index == picture:
            missed_s = 0.0
        elif missed_s > PICTURE_TIMEOUT_S:
            raise StreamTimeout(f"{name} sent sound but no picture for {PICTURE_TIMEOUT_S:g} s")
        yield packet
        began = time.monotonic()


LOOK_EVERY_S = 0.5


class Pacer:
    """Releases frames at the pace of their timestamps.

    Attributes:
        hurry: Release everything at once.
    """

    def __init__(self) -> None:
        self.hurry = False
        self._origin: float | None = None
        self._last: Fraction | None = None

    def wait(self, moment: Fraction) -> None:
        """Wait until a frame is due; a jump of timestamps restarts the pacing."""
        now = time.monotonic()
        jumped = self._last is not None and not 0 < moment - self._last < 1
        self._last = moment
        if self._origin is None or jumped or now > self._origin + float(moment):
            self._origin = now - float(moment)
        while not self.hurry and (left := self._origin + float(moment) - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY_S))


TIMEOUT_S = 5.0
"""A source that sends nothing for longer is given up and reconnected."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrival:
    """A frame or an audio packet.

    Attributes:
        at: Arrival time on the monotonic clock.
        chunk: One frame on the CPU, with the source's pts; None for audio.
        packet: Packet of the audio stream; None for a frame.
    """

    at: float
    chunk: Chunk | None = None
    packet: Packet[Stream] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class FormatChange:
    """The start of frames of a new connection or size.

    Attributes:
        info: Description of the stream; its audio's ``template`` is valid while connected.
        sound: Audio stream to copy.
        renewed: Whether the connection is new, and not only the size.
        held_back: Number of frames held back by deinterlacing; 0 for progressive video.
    """

    info: StreamInfo
    sound: AudioStream | None
    renewed: bool
    held_back: int

    @property
    def left_out(self) -> str | None:
        """A note about streams that are neither decoded nor copied; None without any."""
        copied = None if self.sound is None else self.sound.index
        lost = {f"{o.kind} ({o.codec})" for o in self.info.others if o.index != copied}
        note = f"the picture and its first sound are carried; left out: {', '.join(sorted(lost))}"
        return note if lost else None


class Connection:
    """One open connection. Used by one thread; ``interrupt`` may come from another.

    Args:
        source: A file or an address.
        listen: Wait for a publisher instead of connecting.
        published: A publisher that our own listener admitted.
        options: Options of ffmpeg's protocol and demuxer.
        trust: Which certificates are accepted.
        max_pixels: Width times height of its frames at most; None for no bound.

    Raises:
        OpenError: It cannot be opened; the message names the host without secrets.
        StreamTimeout: It does not answer.
    """

    def __init__(
        self,
        source: str,
        *,
        listen: bool = False,
        published: Published | None = None,
        options: Mapping[str, str] | None = None,
        trust: Trust = SYSTEM,
        max_pixels: int | None = None,
    ) -> None:
        self._source, self._max_pixels = source, max_pixels
        self._located: str | None = None
        self._picture: FrameFormat | None = None
        self._first_aspect: Fraction | None = None
        self._aspect: Fraction | None = None
        self._assembly: ChunkBuilder | None = None
        self._held_back = 0
        self._came_at: deque[float] = deque()
        self._pacer = Pacer() if is_paced(source) else None
        if not listen:
            check_host(source)
        self._feed: Published | Relay | None = published
        if is_relayed(source):
            self._feed = Relay(relayed(source, listen=listen))
        try:
            self._container, self._video = open_container(
                source,
                options=open_options(source) | dict(options or {}),
                file_format=published.file_format if published else file_format(source),
                timeout=(TIMEOUT_S, TIMEOUT_S) if is_address(source) else None,
                file=self._feed.file if self._feed else None,
                trust=trust,
            )
        except (OpenError, StreamTimeout) as error:
            raise self._explain(error) from error
        self._check_size(self._video.codec_context)
        self._decoder = Decoder(self._video, shown(source))
        self._deinterlacer = Deinterlacer(time_base(self._video))
        self._sound = next(iter(copied_streams(self._container)), None)

    def arrivals(self) -> Iterator[Arrival | FormatChange]:
        """Yield arrivals, with a ``FormatChange`` before the first frame and at each change.

        Raises:
            DecodeError: Reading failed, or nothing decodes any more.
            StreamTimeout: The source went silent, or sends no video.
        """
        early: deque[Arrival] = deque(maxlen=MOST)
        for packet in self._packets():
            if packet.stream_index == self._video.index:
                for stamped in self._progressive(self._decoder.decode(packet)):
                    yield from self._frame(stamped, early)
            elif self._is_sound(packet):
                arrival = Arrival(at=time.monotonic(), packet=packet)
                if self._picture is None:
                    _append(early, arrival)
                else:
                    yield arrival
        left = chain(self._progressive(self._decoder.last()), self._deinterlacer.drain())
        for stamped in left:
            yield from self._frame(stamped, early)
        if isinstance(self._feed, Published) and (why := self._feed.reason()):
            raise StreamTimeout(f"{shown(self._source)} {why}")

    @property
    def corrupt(self) -> int:
        """Number of damaged packets and frames."""
        return self._decoder.corrupt

    def interrupt(self) -> None:
        """Make the reading thread end with the next packet, or at its time-out."""
        if self._pacer is not None:
            self._pacer.hurry = True
        if self._feed is not None:
            self._feed.interrupt()

    def close(self) -> None:
        """Close the source, from the reading thread.

        A file closes with the last reference to its streams: a short one ends before its
        first frame is consumed, and the output copies its audio parameters only then.
        """
        if not ends(self._source):
            with suppress(FFmpegError, OSError):
                self._container.close()
        if self._feed is not None:
            self._feed.close()

    def _is_sound(self, packet: Packet[Stream]) -> bool:
        sound = self._sound
        known = packet.dts is not None
        return known and sound is not None and packet.stream_index == sound.index

    def _packets(self) -> Iterator[Packet[Stream]]:
        try:
            name = shown(self._source)
            for packet in watched(self._container.demux(), self._video.index, name):
                if packet.size:
                    yield packet
        except IndexError:
            # PyAV, at the end: a stream that only appeared meanwhile (out of damage, say) is none
            # that it could flush.
            pass
        except ExitError as error:
            raise StreamTimeout(
                f"{shown(self._source)} sent nothing for {TIMEOUT_S:g} s"
            ) from error
        except (FFmpegError, OSError) as error:
            why = redact(reason(error), self._source)
            raise DecodeError(f"{shown(self._source)} broke off ({why})") from error

    def _progressive(self, frames: Iterable[StampedFrame]) -> Iterator[StampedFrame]:
        """Deinterlaced frames at the pace of their timestamps, with arrival times."""
        for stamped in frames:
            if self._pacer is not None:
                self._pacer.wait(stamped.pts * time_base(self._video))
            self._came_at.append(time.monotonic())
            yield from self._deinterlacer.push(stamped)

    def _frame(
        self, stamped: StampedFrame, early: deque[Arrival]
    ) -> Iterator[Arrival | FormatChange]:
        self._check_size(stamped.frame)
        decoded = read_frame(stamped.frame, stamped.pts, self._chroma_location())
        if self._is_other(decoded.picture):
            yield self._begin(decoded.picture, read_mastering(stamped.frame))
        assert self._assembly is not None
        yield Arrival(at=self._came_at.popleft(), chunk=self._assembly.build([decoded]))
        yield from early
        early.clear()

    def _check_size(self, picture: VideoCodecContext | VideoFrame) -> None:
        """Refuse frames that would take more memory and time than was allowed."""
        size = (picture.width or 0, picture.height or 0)
        if self._max_pixels is not None and size[0] * size[1] > self._max_pixels:
            self._close_feed()
            raise OpenError(
                f"{shown(self._source)} sends {size[0]}x{size[1]}, more than {self._max_pixels} "
                "pixels; raise --max-pixels if that is intended"
            )

    def _close_feed(self) -> None:
        if self._feed is not None:
            self._feed.close()

    def _is_other(self, picture: FrameFormat) -> bool:
        if self._picture is None or picture.shown_size != self._picture.shown_size:
            return True
        if self._video.codec_context.sample_aspect_ratio != self._aspect:
            return True
        return self._deinterlacer.held_back > self._held_back

    def _begin(self, picture: FrameFormat, mastering: Mastering) -> FormatChange:
        renewed, self._picture = self._picture is None, picture
        self._aspect = self._video.codec_context.sample_aspect_ratio
        if renewed:
            self._first_aspect = self._aspect
        self._held_back = max(self._held_back, self._deinterlacer.held_back)
        self._assembly = ChunkBuilder(
            time_base(self._video), picture.shown_size, torch.device("cpu")
        )
        info = describe(self._container, self._video, picture, Trim(), mastering)
        if self._aspect != self._first_aspect:
            # The container only knows the one that it began with.
            info = replace(info, sample_aspect_ratio=shown_aspect(self._aspect, picture))
        return FormatChange(
            info=info,
            sound=self._sound,
            renewed=renewed,
            held_back=self._held_back,
        )

    def _chroma_location(self) -> str | None:
        if self._picture is None and not is_address(self._source):
            codec = self._video.codec_context.codec.canonical_name
            self._located = find_chroma_location(self._source, self._video.index, codec)
        return self._located

    def _explain(self, error: OpenError | StreamTimeout) -> OpenError | StreamTimeout:
        why = redact(str(error), self._source)
        if self._feed is not None:
            self._feed.close()
            why = self._feed.reason() or "what it sends is no video"
            why = redact(f"{shown(self._source)} cannot be opened ({why})", self._source)
        return type(error)(why)


def _append(early: deque[Arrival], arrival: Arrival) -> None:
    """Keep audio until the first frame; packets before a jump back in time are dropped."""
    if (
        early
        and arrival.packet
        and early[-1].packet
        and goes_back(arrival.packet, early[-1].packet)
    ):
        early.clear()
    early.append(arrival)
