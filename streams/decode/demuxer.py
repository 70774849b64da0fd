"""One pass over a container: video frames in presentation order, packets of the copied streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av import Packet, VideoFrame
from av.container import InputContainer
from av.error import FFmpegError
from av.format import Flags
from av.stream import Stream
from av.video.stream import VideoStream

from vsr.errors import DecodeError, StreamTimeout
from vsr.streams.decode.flush_recovery import FlushRecovery
from vsr.streams.decode.probe import INTERLEAVING_S
from vsr.streams.decode.timestamps import Continuity, Timestamps
from vsr.streams.names.container import READ_TIMEOUT_S, reason
from vsr.streams.names.trim import Trim

MAX_CORRUPT_IN_A_ROW = 250
"""Packets without one good frame after which a source is given up: ten seconds at 25 fps."""

MAX_READ_ERRORS_IN_A_ROW = 8

SHORTFALL_S = Fraction(1)
SHORTFALL_SHARE = Fraction(1, 10)
"""Time by which a whole file may end earlier than its header says: the lesser of the two, or as
long as its longest frame, since not every packet says how long it lasts."""

_STATES_DURATION = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv"})


@dataclass(frozen=True)
class StampedFrame:
    """A decoded frame and its pts in the stream's time base, increasing from frame to frame."""

    frame: VideoFrame
    pts: int


class Demuxer:
    """Reads a container once, from one thread.

    Attributes:
        packets: Packets of the copied streams read so far; the caller takes them.
        corrupt_frames: Packets that did not decode, and frames the decoder marked as damaged.
        began: Time of the first decoded frame in seconds, inside the trim or not.
        ended_early: Why the stream stopped before its end; None if it did not.
        is_unread: Whether it stopped because its disk or its connection failed.
    """

    def __init__(
        self,
        container: InputContainer,
        video: VideoStream,
        copied: Sequence[Stream],
        trim: Trim,
        timestamps: Timestamps[VideoFrame],
    ) -> None:
        self.packets: list[Packet[Stream]] = []
        self.corrupt_frames = 0
        self.began: Fraction | None = None
        self.ended_early: str | None = None
        self.is_unread = False
        self._container = container
        self._video = video
        self._copied = {stream.index for stream in copied}
        self._unfinished = set(self._copied)
        self._tail = FlushRecovery(video)
        self._trim = trim
        self._timestamps = timestamps
        self._continuity = Continuity()
        self._jumps = Flags.ts_discont in Flags(container.format.flags)
        self._corrupt_in_a_row = 0
        self._video_done = False
        self._latest = self._longest = Fraction(0)
        self._last_dts: Fraction | None = None

    def frames(self) -> Iterator[StampedFrame]:
        """Yield the wanted frames, and collect packets of the copied streams.

        Raises:
            DecodeError: Nothing could be decoded for ``MAX_CORRUPT_IN_A_ROW`` packets.
            StreamTimeout: An address that fell silent.
        """
        for packet in self._read():
            if self._jumps:
                self._continuity.correct(packet)
            if packet.stream.index != self._video.index:
                self._keep(packet)
            elif not self._video_done:
                yield from self._wanted(self._decode(packet))
            if self._video_done and self._copies_done(packet):
                return
        if not self._video_done:
            self._check_length()

    def _read(self) -> Iterator[Packet[Stream]]:
        failures = 0
        while failures < MAX_READ_ERRORS_IN_A_ROW:
            try:
                for packet in self._container.demux():
                    if packet.size:
                        failures, self.ended_early, self.is_unread = 0, None, False
                    yield packet
            except IndexError:
                # PyAV knows no stream that begins in the middle of a file; its packet is read now.
                continue
            except av.error.ExitError as error:
                raise StreamTimeout(f"the source sent nothing for {READ_TIMEOUT_S:g} s") from error
            except (FFmpegError, OSError) as error:
                failures += 1
                self.ended_early = f"reading failed ({reason(error)})"
                self.is_unread = isinstance(error, OSError)
                continue
            return
        yield self._flush_packet()

    def _flush_packet(self) -> Packet[Stream]:
        packet: Packet[Stream] = Packet()
        packet.stream = self._video
        return packet

    def _decode(self, packet: Packet[Stream]) -> Iterator[StampedFrame]:
        self._tail.sent(packet)
        try:
            frames = self._video.decode(packet)
        except (FFmpegError, OSError) as error:
            self._count_corrupt(error)
        else:
            self._note_step(packet)
            yield from self._stamp(frames)
        if not packet.size:
            yield from self._stamp(self._tail.lost())
            yield from (StampedFrame(*settled) for settled in self._timestamps.drain())
            self.corrupt_frames = max(self.corrupt_frames, self._tail.failures)

    def _stamp(self, frames: Iterable[VideoFrame]) -> Iterator[StampedFrame]:
        for frame in frames:
            self._tail.shown(frame)
            self._corrupt_in_a_row = 0
            self.corrupt_frames += frame.is_corrupt
            settled = self._timestamps.stamp(frame, frame.pts, frame.dts)
            yield from (StampedFrame(*stamped) for stamped in settled)

    def _count_corrupt(self, error: Exception) -> None:
        self.corrupt_frames += 1
        self._corrupt_in_a_row += 1
        if self._corrupt_in_a_row >= MAX_CORRUPT_IN_A_ROW:
            raise DecodeError(
                f"{self._corrupt_in_a_row} packets in a row do not decode ({reason(error)}); "
                "the source is damaged: re-download or repair it"
            ) from error

    def _wanted(self, frames: Iterator[StampedFrame]) -> Iterator[StampedFrame]:
        for stamped in frames:
            time = stamped.pts * self._timestamps.time_base
            self.began = time if self.began is None else self.began
            if self._trim.is_late(time):
                self._video_done = True
                return
            if not self._trim.is_early(time):
                yield stamped

    def _keep(self, packet: Packet[Stream]) -> None:
        self._note_time(packet)
        if packet.stream_index not in self._copied or packet.dts is None:
            return
        time = _time(packet)
        if self._trim.is_late(time):
            self._unfinished.discard(packet.stream_index)
        elif not self._trim.is_early(time):
            self.packets.append(packet)

    def _copies_done(self, packet: Packet[Stream]) -> bool:
        far = packet.dts is not None and self._trim.is_late(_time(packet) - INTERLEAVING_S)
        return far or not self._unfinished

    def _note_time(self, packet: Packet[Stream]) -> None:
        if packet.dts is not None:
            self._latest = max(self._latest, _time(packet) + _duration(packet))

    def _note_step(self, packet: Packet[Stream]) -> None:
        self._note_time(packet)
        if packet.dts is not None:
            dts, last = packet.dts * packet.time_base, self._last_dts
            self._longest = max(self._longest, dts - (dts if last is None else last))
            self._last_dts = dts

    def _check_length(self) -> None:
        if self.ended_early or self._container.format.name not in _STATES_DURATION:
            return
        end = _stated_end(self._container, self._video)
        if end - self._latest > min(SHORTFALL_S, max(self._longest, SHORTFALL_SHARE * end)):
            self.ended_early = (
                f"the file ends at {float(self._latest):.2f} s, its header says {float(end):.2f} s"
            )


def _stated_end(container: InputContainer, video: VideoStream) -> Fraction:
    """End of a file according to its header, in seconds; AVI's states a number of frames."""
    # Where streams state no duration, as in Matroska, the header's counts from zero.
    counted = any(stream.duration for stream in container.streams)
    begin = (container.start_time or 0) if counted else 0
    end = Fraction(begin + (container.duration or 0), av.time_base)
    if container.format.name == "avi" and video.average_rate:
        end = max(end, video.frames / video.average_rate)
    return end


def _time(packet: Packet[Stream]) -> Fraction:
    pts = packet.pts if packet.pts is not None else packet.dts or 0
    return pts * packet.time_base


def _duration(packet: Packet[Stream]) -> Fraction:
    return (packet.duration or 0) * packet.time_base
