"""Transcoding audio and encoding silence."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av import AudioFrame, AudioResampler, Packet
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Stream

HOLE = Fraction(1, 10)
"""Seconds by which times may leave the sound, at once or bit by bit, before it follows them."""

_WARM_UP = 4
"""Frames of silence until an encoder has nothing left of its beginning."""

_ANY_FRAME = 1024
"""Samples in a packet of a codec that does not ask for a number."""


class AudioTranscoder:
    """Transcodes audio from one format into another."""

    def __init__(self, stream: AudioStream, encoder: AudioCodecContext) -> None:
        self._stream, self._encoder = stream, encoder
        self._resampler = _resampler(encoder)
        self._frame_s = Fraction(frame_size(encoder), encoder.sample_rate)
        self._expected: Fraction | None = None
        self._next = self._off = Fraction(0)

    def take(
        self, packet: Packet[Stream], time: Fraction
    ) -> Iterator[tuple[Packet[Stream], Fraction, Fraction]]:
        """Encoded packets with start and end times."""
        try:
            decoded = self._stream.codec_context.decode(packet)
        except FFmpegError:
            return
        self._follow(time)
        self._expected = time
        for frame in decoded:
            self._expected += Fraction(frame.samples, frame.sample_rate)
            frame.pts = None
            for piece in self._resampled(frame):
                piece.pts = None
                for coded in self._encoder.encode(piece):
                    yield coded, self._next, self._next + self._frame_s
                    self._next += self._frame_s

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        try:
            return self._resampler.resample(frame)
        except ValueError:  # the source's form has changed
            self._resampler = _resampler(self._encoder)
            return self._resampler.resample(frame)

    def _follow(self, time: Fraction) -> None:
        """Follow gaps and clock drift of the packets."""
        if self._expected is None:
            self._next = self._expected = time
        self._off += time - self._expected
        if abs(self._off) > HOLE:
            self._next += self._off
            self._off = Fraction(0)


def _resampler(encoder: AudioCodecContext) -> AudioResampler:
    return AudioResampler(
        format=encoder.format.name,
        layout=encoder.layout.name,
        rate=encoder.sample_rate,
        frame_size=frame_size(encoder),
    )


def make_encoder(
    codec: str, rate: int, layout: str, wanted: str, block: int = 0
) -> AudioCodecContext:
    """An open encoder.

    Args:
        codec: ffmpeg's name.
        rate: Samples a second.
        layout: Channel layout.
        wanted: Sample format, if the encoder supports it.
        block: Samples per packet; 0 for the encoder's default.

    Raises:
        FFmpegError: ffmpeg cannot encode this format.
        ValueError: ffmpeg cannot encode this format.
    """
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, AudioCodecContext)
    assert encoder.codec.audio_formats is not None
    encoder.sample_rate, encoder.layout = rate, layout
    formats = encoder.codec.audio_formats
    encoder.format = next((one for one in formats if one.name == wanted), formats[0])
    encoder.time_base = Fraction(1, rate)
    if block:
        encoder.options = {"frame_size": str(block)}
    encoder.open()
    return encoder


def silent_packet(encoder: AudioCodecContext) -> bytes:
    """A packet of silence, taken after the encoder has warmed up."""
    packets = [
        packet
        for number in range(2 * _WARM_UP)
        for packet in encoder.encode(_silent_frame(encoder, number))
    ]
    return bytes(packets[_WARM_UP - 1])


def frame_size(encoder: AudioCodecContext) -> int:
    """Samples per packet."""
    return encoder.frame_size or _ANY_FRAME


def _silent_frame(encoder: AudioCodecContext, number: int) -> AudioFrame:
    size, name = frame_size(encoder), encoder.format.name
    frame = AudioFrame(format=name, layout=encoder.layout.name, samples=size)
    silent = np.uint8(128 if name.startswith("u8") else 0)
    for plane in frame.planes:
        plane.update(np.full(plane.buffer_size, silent).tobytes())
    frame.sample_rate, frame.pts = encoder.sample_rate, number * size
    return frame
