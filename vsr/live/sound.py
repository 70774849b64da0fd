"""Sound that is copied past the network, whatever the source does.

Packets are copied as they are while their parameters are those the output began with. A publisher
that comes back with others has its sound coded anew, and where there is none, there is silence:
a sink would wait for it, and hold the picture back.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av import AudioFrame, AudioResampler, Packet
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Stream

from vsr.live.coded import Coded

PLACE = 1

SILENT_AFTER = Fraction(3, 2)
"""Seconds by which sound may lag behind the picture before silence is put in its place."""

_ADTS_BYTES = 7

_WARM_UP = 4
"""Frames of silence until an encoder has nothing left of its beginning."""


class Sound:
    """The output's one track of sound. Used by one thread.

    Args:
        stream: The first connection's; valid while that is open.
        template: A copy of its parameters, from now on the output's.

    Attributes:
        end: The output's time up to which there is sound; None before the first packet.
    """

    def __init__(self, stream: AudioStream, template: Any) -> None:
        self.end: Fraction | None = None
        self._base = stream.time_base or Fraction(1, 1000)
        self._codec = stream.codec_context.codec.canonical_name
        self._rate = stream.codec_context.sample_rate
        self._layout = stream.codec_context.layout.name
        self._signature = _signature(stream)
        self._template = template
        self._is_adts = self._codec == "aac" and not stream.codec_context.extradata
        self._header: tuple[bytes, int] | None = None
        self._anew: _Recoder | None = None
        self._silence = self._make_silence()

    @property
    def is_copied(self) -> bool:
        """Whether packets are copied, not coded anew."""
        return self._anew is None

    def begin(self, stream: AudioStream | None) -> None:
        """Sound of another connection follows; None where that has none."""
        self._header = None
        if stream is None or _signature(stream) == self._signature:
            self._anew = None
        else:
            self._anew = _Recoder(stream, self._codec, self._rate, self._layout)

    def take(self, packet: Packet[Stream], time: Fraction) -> list[Coded]:
        """Packets of the output for one of the source's.

        Args:
            packet: Of the stream that was last begun.
            time: Its place in the output, in seconds; before the beginning it is left out.
        """
        if packet.is_corrupt or not self._is_whole(bytes(packet)):
            return []
        if self._anew is not None:
            made = [(bytes(p), at, at_end) for p, at, at_end in self._anew.take(packet, time)]
        else:
            seconds = (packet.duration or 0) * packet.time_base or self._frame_s
            made = [(bytes(packet), time, time + seconds)]
        return [self._code(*one) for one in made if self._fits(one[1])]

    def silence(self, until: Fraction) -> list[Coded]:
        """Silence from the end of the sound up to a time; nothing while sound is only a bit late.

        Args:
            until: The picture's time in seconds.
        """
        end = Fraction(0) if self.end is None else self.end
        if self._silence is None or until - end < SILENT_AFTER:
            return []
        made = []
        while end < until - SILENT_AFTER / 2:
            made.append(self._code(self._silence, end, end + self._frame_s))
            end += self._frame_s
        return made

    @property
    def _frame_s(self) -> Fraction:
        return Fraction(1024 if self._codec == "aac" else 1152, self._rate)

    def _is_whole(self, data: bytes) -> bool:
        """Whether an ADTS frame is what its header says; a damaged one would end every sink.

        ISO/IEC 13818-7, 6.2: 28 bits that never change, 13 bits of length from the 31st on.
        """
        if not self._is_adts:
            return True
        if len(data) < _ADTS_BYTES:
            return False
        fixed = (data[:3], data[3] & 0xF0)
        length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        whole = data[0] == 0xFF and data[1] & 0xF6 == 0xF0 and length == len(data)
        if whole and self._header is None:
            self._header = fixed
        return whole and fixed == self._header

    def _fits(self, time: Fraction) -> bool:
        """Whether a packet lies behind those before, a little overlap aside."""
        return time >= 0 and (self.end is None or time > self.end - self._frame_s)

    def _code(self, data: bytes, time: Fraction, end: Fraction) -> Coded:
        self.end = end
        pts, base = round(time / self._base), self._base
        duration = round((end - time) / base)
        return Coded(
            place=PLACE, data=data, pts=pts, dts=pts, duration=duration, time_base=base, is_key=True
        )

    def _make_silence(self) -> bytes | None:
        """A packet of silence; None for a codec that cannot be encoded here."""
        try:
            encoder = _encoder(self._codec, self._rate, self._layout)
            packets = [
                packet
                for number in range(2 * _WARM_UP)
                for packet in encoder.encode(_silent_frame(encoder, number))
            ]
            return bytes(packets[_WARM_UP - 1])
        except (FFmpegError, ValueError, IndexError):
            return None


class _Recoder:
    """Sound of one form into another."""

    def __init__(self, stream: AudioStream, codec: str, rate: int, layout: str) -> None:
        self._stream = stream
        self._encoder = _encoder(codec, rate, layout)
        self._resampler = AudioResampler(
            format=self._encoder.format.name,
            layout=layout,
            rate=rate,
            frame_size=self._encoder.frame_size or 1024,
        )
        self._frame_s = Fraction(self._encoder.frame_size or 1024, rate)
        self._next: Fraction | None = None

    def take(
        self, packet: Packet[Stream], time: Fraction
    ) -> Iterator[tuple[Packet[Stream], Fraction, Fraction]]:
        """Coded packets, and from when to when they sound."""
        if self._next is None or abs(time - self._next) > SILENT_AFTER:
            self._next = time
        try:
            decoded = self._stream.codec_context.decode(packet)
        except FFmpegError:
            return
        for frame in decoded:
            frame.pts = None
            for piece in self._resampler.resample(frame):
                piece.pts = None
                for coded in self._encoder.encode(piece):
                    yield coded, self._next, self._next + self._frame_s
                    self._next += self._frame_s


def _signature(stream: AudioStream) -> tuple[Any, ...]:
    """What packets that fit one decoder have in common."""
    context = stream.codec_context
    return (
        context.codec.canonical_name,
        context.sample_rate,
        context.layout.name,
        context.extradata,
    )


def _encoder(codec: str, rate: int, layout: str) -> AudioCodecContext:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, AudioCodecContext)
    assert encoder.codec.audio_formats is not None
    encoder.sample_rate, encoder.layout = rate, layout
    encoder.format = encoder.codec.audio_formats[0]
    encoder.time_base = Fraction(1, rate)
    encoder.open()
    return encoder


def _silent_frame(encoder: AudioCodecContext, number: int) -> AudioFrame:
    size = encoder.frame_size or 1024
    frame = AudioFrame(format=encoder.format.name, layout=encoder.layout.name, samples=size)
    for plane in frame.planes:
        plane.update(np.zeros(plane.buffer_size, dtype=np.uint8).tobytes())
    frame.sample_rate, frame.pts = encoder.sample_rate, number * size
    return frame
