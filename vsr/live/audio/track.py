"""The audio track of the output, copied whenever possible.

Packets are copied while their parameters equal those of the output's start. A publisher
that returns with other parameters, or replaces another one on the same UDP connection, has
its audio transcoded. Gaps are filled with silence: a sink would wait for audio and hold the
video back, and a player might play what follows a gap too early.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import Any

from av import Packet
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Stream

from vsr.live.audio.adts import Fixed, fixed_part, fixed_part_of, with_header
from vsr.live.audio.packets import EncodedPacket
from vsr.live.audio.timestamps import AudioTimestamps, Placed
from vsr.live.audio.transcoder import HOLE, AudioTranscoder, frame_size, make_encoder, silent_packet

log = logging.getLogger(__name__)

PLACE = 1

SILENT_AFTER = Fraction(3, 2)
"""Seconds by which sound may lag behind the picture before silence is put in its place."""

_USUAL_FRAME = 1024
"""Samples in a packet of a codec that cannot be encoded here, and says no duration."""


class OutputAudio:
    """The output's audio track. Used by one thread.

    Args:
        stream: Audio stream of the first connection; valid while it is open.
        template: Copy of its parameters, which become the output's.

    Attributes:
        end: End of the audio so far in output time; None before the first packet.
    """

    def __init__(self, stream: AudioStream, template: Any) -> None:
        self.end: Fraction | None = None
        self._stream = stream
        self._base = Fraction(stream.time_base or Fraction(1, 1000))
        self._codec = stream.codec_context.codec.canonical_name
        self._rate = stream.codec_context.sample_rate
        self._layout = stream.codec_context.layout.name
        self._signature = _signature(stream)
        self._template = template
        self._num_channels = stream.codec_context.channels
        self._format = stream.codec_context.format.name
        self._extradata = stream.codec_context.extradata or b""
        self._is_adts = _is_adts(stream)
        self._header: Fixed | None = None
        self._current_header: Fixed | None = None
        self._last_header: Fixed | None = None
        self._transcoder: AudioTranscoder | None = None
        self._is_lost = False
        self._times = AudioTimestamps()
        self._frame_s = Fraction(_USUAL_FRAME, self._rate)
        self._silence = self._make_silence()

    @property
    def is_copied(self) -> bool:
        """Whether packets are copied and not transcoded."""
        return self._transcoder is None

    def begin(self, stream: AudioStream | None) -> None:
        """Start the audio of another connection; None if it has none."""
        self._current_header = self._last_header = self._transcoder = None
        self._times, self._is_lost = AudioTimestamps(), False
        if stream is None:
            return
        self._stream = stream
        if _signature(stream) != self._signature:
            self._transcode()

    def take(self, packet: Packet[Stream], time: Fraction) -> list[EncodedPacket]:
        """Convert a packet of the source into packets of the output, after silence for a gap.

        Args:
            packet: Packet of the current stream.
            time: Output time in seconds; packets before the start are dropped.
        """
        if packet.is_corrupt or not self._is_whole(bytes(packet)):
            return []
        return self._take_all(self._times.place(packet, time, self._seconds(packet)))

    def last(self) -> list[EncodedPacket]:
        """The packets held back until the next packet."""
        return self._take_all(self._times.last())

    def silence(self, until: Fraction) -> list[EncodedPacket]:
        """Silence from the end of the audio up to a time; none while it is only slightly late.

        Args:
            until: Video time in seconds.
        """
        if until - (self.end or 0) < SILENT_AFTER:
            return []
        coded = self.last()
        self.end = self.end or Fraction(0)
        return coded + self._fill(until - SILENT_AFTER / 2)

    def _take_all(self, placed: list[Placed]) -> list[EncodedPacket]:
        coded: list[EncodedPacket] = []
        for packet, time in placed:
            for one in self._made_of(packet, time):
                if self._fits(one[1]):
                    coded += [*self._fill(one[1]), self._code(*one)]
        return coded

    def _made_of(
        self, packet: Packet[Stream], time: Fraction
    ) -> list[tuple[bytes, Fraction, Fraction]]:
        """Payloads in the output's format, with start and end times."""
        if self._is_lost:
            return []
        if self._transcoder is None:
            return [(bytes(packet), time, time + self._seconds(packet))]
        return [
            (self._framed(bytes(p)), at, end) for p, at, end in self._transcoder.take(packet, time)
        ]

    def _seconds(self, packet: Packet[Stream]) -> Fraction:
        return (packet.duration or 0) * packet.time_base or self._frame_s

    def _fill(self, until: Fraction) -> list[EncodedPacket]:
        """Silence for the gap before a time; nothing without a gap or at the start."""
        filled: list[EncodedPacket] = []
        if self._silence is None or self.end is None or until - self.end < HOLE:
            return filled
        while self.end + self._frame_s <= until:
            filled.append(self._code(self._silence, self.end, self.end + self._frame_s))
        return filled

    def _transcode(self) -> None:
        """Switch to transcoding for another audio format."""
        try:
            self._transcoder = AudioTranscoder(self._stream, self._make_encoder())
        except (FFmpegError, ValueError) as error:
            self._is_lost = True
            log.warning("sound cannot be encoded as %s (%s); it is left out", self._codec, error)

    def _is_whole(self, data: bytes) -> bool:
        """Whether an ADTS frame matches its header; a damaged one would end every sink."""
        if not _is_adts(self._stream):
            return True
        found = fixed_part(data)
        if found is not None and found != self._current_header:
            self._take_header(found)
        self._last_header = found
        return found is not None and found == self._current_header

    def _take_header(self, found: Fixed) -> None:
        """Handle a new header: damage, or another publisher if two in a row agree."""
        if self._current_header is None:
            self._current_header = found
            self._header = self._header or found
        elif found == self._last_header:
            self._current_header, self._transcoder = found, None
            if found != self._header:
                self._transcode()

    def _framed(self, data: bytes) -> bytes:
        """An encoder's packet in the output's format."""
        if not self._is_adts:
            return data
        header = self._header or fixed_part_of(self._rate, self._num_channels)
        return with_header(header, data)

    def _fits(self, time: Fraction) -> bool:
        """Whether a packet follows the previous ones, with a small tolerance."""
        return time >= 0 and (self.end is None or time > self.end - self._frame_s)

    def _code(self, data: bytes, time: Fraction, end: Fraction) -> EncodedPacket:
        self.end = end
        pts, base = round(time / self._base), self._base
        duration = round((end - time) / base)
        return EncodedPacket(
            stream_index=PLACE,
            data=data,
            pts=pts,
            dts=pts,
            duration=duration,
            time_base=base,
            is_key=True,
        )

    def _make_encoder(self) -> AudioCodecContext:
        # FLAC, RFC 9639, 8.2: the second number of its parameters is the largest block's samples.
        block = int.from_bytes(self._extradata[2:4]) if self._codec == "flac" else 0
        return make_encoder(self._codec, self._rate, self._layout, self._format, block)

    def _make_silence(self) -> bytes | None:
        """A packet of silence; None for a codec that cannot be encoded here."""
        try:
            encoder = self._make_encoder()
            self._frame_s = Fraction(frame_size(encoder), self._rate)
            return self._framed(silent_packet(encoder))
        except (FFmpegError, ValueError, IndexError):
            return None


def _is_adts(stream: AudioStream) -> bool:
    """Whether every frame has an ADTS header."""
    context = stream.codec_context
    return context.codec.canonical_name == "aac" and not context.extradata


def _signature(stream: AudioStream) -> tuple[Any, ...]:
    """Parameters shared by packets that one decoder accepts."""
    context = stream.codec_context
    return (
        context.codec.canonical_name,
        context.sample_rate,
        context.layout.name,
        context.extradata,
    )
