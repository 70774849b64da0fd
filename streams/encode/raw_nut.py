"""Raw frames and copied packets as one NUT stream: what is piped into ffmpeg.

NUT keeps an integer pts with an exact time base for every stream. It has no negative pts, which
audio that begins before the first frame has: everything is sent later by ``RawLayout.lead_s``, a
number of seconds that is whole in every time base, and ffmpeg moves it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, lcm

import av
from av import Packet
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.stream import Stream
from av.video.stream import VideoStream
from torch import Tensor

from vsr.errors import EncodeError
from vsr.streams.colour.pixel_format import PixelFormat
from vsr.streams.decode.timestamps import FALLBACK_RATE
from vsr.streams.names.container import reason
from vsr.types import OtherStream

LEAD_S = 60
"""Distance before zero at which a packet may lie, at least."""

CARRIED_CODECS = frozenset(
    {"aac", "mp3", "mp2", "ac3", "eac3", "dts", "flac", "opus", "vorbis"}
    | {"pcm_alaw", "pcm_mulaw", "pcm_u8"}
    | {f"pcm_{kind}{order}" for kind in ("s16", "s24", "s32", "f32") for order in ("le", "be")}
)
"""Codecs that survive NUT: it has no tag for TrueHD or ALAC and no block size for Windows Media."""

NUT_IN_PIPES = {"write_index": "0", "syncpoints": "none", "f_strict": "experimental"}
"""The muxer's options where the stream may never end.

A reader keeps each sync point in memory until the end, and there is one for every large frame: 500
MB a day. What a pipe brings is whole, and is read from its beginning; it needs none.
"""

_MUX_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class RawLayout:
    """Layout of a raw stream.

    Attributes:
        pixel_format: Pixel format of the frames.
        height: Rows of the frames.
        width: Columns of the frames.
        time_base: Time base of the frames' pts.
        frame_rate: Rate for the encoder's rate control; times come from the pts alone.
        copied: The streams whose packets will come.
        shift_s: Seconds to add to every time, rounded in each stream's time base.
        other_bases: Time bases of streams that are muxed elsewhere, at the same times.
    """

    pixel_format: PixelFormat
    height: int
    width: int
    time_base: Fraction
    frame_rate: Fraction | None = None
    copied: tuple[OtherStream, ...] = ()
    shift_s: Fraction = Fraction(0)
    other_bases: tuple[Fraction, ...] = ()

    @property
    def copied_bases(self) -> tuple[Fraction, ...]:
        """Time bases of the copied streams."""
        return tuple(other.template.time_base for other in self.copied)

    @property
    def lead_s(self) -> int:
        """Seconds by which every pts in the raw stream is later than in the output."""
        bases = [self.time_base, *self.copied_bases, *self.other_bases]
        whole = lcm(*(base.numerator for base in bases))
        return whole * ceil((LEAD_S + abs(self.shift_s)) / whole)


class RawStream:
    """Muxes frames and packets and sends the bytes; nothing before the first of them."""

    def __init__(
        self, layout: RawLayout, send: Callable[[bytes], None], *, frames: bool = True
    ) -> None:
        """Lay out the streams.

        Args:
            layout: Layout of the stream.
            send: Takes the bytes.
            frames: Whether frames will come; packets alone go to a file, which can be sought in.

        Raises:
            EncodeError: A stream that cannot be copied.
        """
        self._sink = _Sink(send)
        self._layout = layout
        self._last_dts: dict[int, int] = {}
        self._container = av.open(
            self._sink,
            mode="w",
            format="nut",
            buffer_size=_MUX_BUFFER_BYTES,
            # Frames must not wait in the muxer for audio of the same time: raw ones are large.
            container_options={
                "max_interleave_delta": "1",
                **(NUT_IN_PIPES if frames else {"write_index": "0"}),
            },
        )
        self._video = self._add_video() if frames else None
        self._copied = {other.index: self._copy(other.template) for other in layout.copied}

    def write_frames(self, samples: Tensor, pts: Sequence[int]) -> None:
        """Append frames.

        Args:
            samples: (T, bytes of one frame), uint8, contiguous, on the CPU.
            pts: T integers in the layout's time base.
        """
        assert self._video is not None, "laid out without frames"
        for frame, time in zip(samples.numpy(), pts, strict=True):
            packet: Packet[Stream] = Packet(frame)
            packet.time_base = self._layout.time_base
            packet.pts = packet.dts = time + self._offset(packet.time_base)
            packet.is_keyframe = True
            self._mux(packet, self._video)

    def write_packets(self, packets: Sequence[Packet[Stream]]) -> None:
        """Append packets of the copied streams; they belong to this stream afterwards."""
        for packet in packets:
            stream = self._copied.get(packet.stream_index)
            if stream is None or packet.dts is None:
                continue
            # Damaged sources repeat or reverse times, which a muxer refuses; the least step mends
            # them that is still one in the muxer's time base.
            base = packet.time_base
            step = max(1, ceil((stream.time_base or base) / base))
            last = self._last_dts.get(packet.stream_index, packet.dts - step)
            self._last_dts[packet.stream_index] = dts = max(packet.dts, last + step)
            offset = self._offset(packet.time_base)
            packet.pts = max(dts, dts if packet.pts is None else packet.pts) + offset
            packet.dts = dts + offset
            self._mux(packet, stream)

    def close(self) -> None:
        """Send what the muxer still holds."""
        self._container.close()
        self._sink.raise_error()

    def _add_video(self) -> VideoStream:
        layout = self._layout
        video = self._container.add_stream("rawvideo", rate=layout.frame_rate or FALLBACK_RATE)
        video.width, video.height = layout.width, layout.height
        video.pix_fmt = layout.pixel_format.name
        video.time_base = video.codec_context.time_base = layout.time_base
        return video

    def _copy(self, template: AudioStream) -> AudioStream:
        try:
            return self._container.add_stream_from_template(template)
        except (FFmpegError, ValueError) as error:
            raise EncodeError(
                f"the audio codec {template.codec_context.name} cannot be copied ({error})"
            ) from error

    def _offset(self, time_base: Fraction) -> int:
        return round(self._layout.shift_s / time_base) + round(self._layout.lead_s / time_base)

    def _mux(self, packet: Packet[Stream], stream: Stream) -> None:
        packet.stream = stream
        try:
            self._container.mux_one(packet)
        except FFmpegError as error:
            raise EncodeError(
                f"a packet at {packet.pts} cannot be copied ({reason(error)})"
            ) from error
        self._sink.raise_error()


class _Sink:
    """Hands on what the muxer writes, while the cache still holds it.

    An exception must not pass through the library's callback: it waits until that is over.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._error: BaseException | None = None

    def write(self, data: bytes) -> int:
        if self._error is None:
            try:
                self._send(data)
            except BaseException as error:
                self._error = error
        return len(data)

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error
