"""The video encoder: one ffmpeg process that survives changes of source and sinks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import torch
import torch.nn.functional as F
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from torch import Tensor

from vsr.errors import EncodeError, VSRError
from vsr.live.audio.packets import EncodedPacket, StreamTemplates
from vsr.streams.colour.convert import from_rgb
from vsr.streams.colour.pixel_format import PixelFormat, parse_pixel_format
from vsr.streams.colour.tags import for_output
from vsr.streams.encode.command import Output, build_command
from vsr.streams.encode.encoders import (
    choose_encoder,
    choose_pixel_format,
    encoder_formats,
    parse_options,
    without_quality,
)
from vsr.streams.encode.raw_nut import NUT_IN_PIPES, RawLayout, RawStream
from vsr.streams.encode.time_base import coarser_clocks
from vsr.streams.ffmpeg.command import Options
from vsr.streams.ffmpeg.process import FFmpegProcess
from vsr.streams.names.container import OUTPUT_PIPE, open_input
from vsr.streams.names.formats import NUT
from vsr.types import Chunk, Colour, StreamInfo


def in_encoders_time(
    picture: OutputPicture, encoder: str | None, arguments: Sequence[str]
) -> OutputPicture:
    """Choose the finest time base that the encoder accepts, tried with one frame.

    Args:
        picture: Output format in the source's time base.
        encoder: See ``LiveEncoder``.
        arguments: See ``LiveEncoder``.

    Returns:
        The adapted format; unchanged if nothing works, so that the encoder reports why.
    """
    name = choose_encoder("", encoder, parse_options(arguments))
    if name in LIVE_OPTIONS:
        return picture
    for clock in (picture.time_base, *coarser_clocks(picture.frame_rate)):
        tried = replace(picture, time_base=clock)
        if _is_taken(tried, encoder, arguments):
            return tried
    return picture


def _is_taken(picture: OutputPicture, encoder: str | None, arguments: Sequence[str]) -> bool:
    coded: list[EncodedPacket] = []
    black = torch.zeros(1, 3, picture.height, picture.width)
    trial = LiveEncoder(
        picture, StreamTemplates(), coded.append, encoder=encoder, arguments=arguments
    )
    try:
        trial.write(Chunk(frames=black, pts=(0,), time_base=picture.time_base))
        trial.finish()
    except VSRError:
        trial.abort()
    return bool(coded)


@dataclass(frozen=True, kw_only=True)
class OutputPicture:
    """Format of the output video, which stays constant when the source changes.

    Attributes:
        height: Rows, even.
        width: Columns, even.
        time_base: Time base of the pts.
        frame_rate: Frame rate that sets the key-frame interval.
        colour: Complete tags of the frames.
        aspect: Width of a pixel over its height.
        bit_depth: Bits per component of the source.
    """

    height: int
    width: int
    time_base: Fraction
    frame_rate: Fraction
    colour: Colour
    aspect: Fraction = Fraction(1)
    bit_depth: int = 8


def picture_of(info: StreamInfo, scale: int, frame_rate: Fraction) -> OutputPicture:
    """The output format for the first connection: restored size, made even."""
    pixel_format = parse_pixel_format(info.pixel_format) or PixelFormat(
        name="yuv420p", family="yuv", bits=8, shifts=(1, 1)
    )
    height, width = info.height * scale, info.width * scale
    return OutputPicture(
        height=height + height % 2,
        width=width + width % 2,
        time_base=info.time_base,
        frame_rate=frame_rate,
        colour=for_output(info.colour, pixel_format, height=info.height, width=info.width),
        aspect=info.sample_aspect_ratio,
        bit_depth=info.bit_depth,
    )


def can_limit(encoder: str | None, arguments: Sequence[str]) -> bool:
    """Whether the bit rate of an encoder can be limited; arguments as for ``LiveEncoder``."""
    return choose_encoder("", encoder, parse_options(arguments)) in RATE_LIMITED


def fitted(frames: Tensor, height: int, width: int) -> Tensor:
    """Fit frames (T, 3, H, W) into a size, keeping the aspect ratio, with black bars."""
    rows, columns = frames.shape[-2:]
    if (rows, columns) == (height, width):
        return frames
    if (rows + rows % 2, columns + columns % 2) == (height, width):
        return F.pad(frames, (0, columns % 2, 0, rows % 2), mode="replicate")
    ratio = min(height / rows, width / columns)
    inner = (max(1, round(rows * ratio)), max(1, round(columns * ratio)))
    scaled = F.interpolate(frames.float(), inner, mode="bilinear", antialias=True)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return F.pad(scaled, (left, width - inner[1] - left, top, height - inner[0] - top))


KEY_FRAMES_S = 2
"""Seconds between key frames: a sink that comes back waits for the next one."""

LIVE_OPTIONS: dict[str, Options] = {
    "libx264": {"preset": "superfast", "tune": "zerolatency", "bf": "0", "crf": "21"},
    "libx265": {"tune": "zerolatency", "crf": "22", "forced-idr": "1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libsvtav1": {"preset": "11"},
}
"""Encoders that hold no frame back.

x264 at 1280x720, two clips: within 0.3 dB of ``veryfast`` with a crf of 20, with at most 8 % more
bits and a third less of the processor, which the network needs.
"""

RATE_LIMITED = frozenset({"libx264", "libx265"})
"""Encoders that keep to a limit of their bit rate beside the quality that they aim at."""

_READ = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"}


class LiveEncoder:
    """Encodes frames into packets.

    Args:
        picture: Format of the frames.
        templates: Receives the encoded stream's parameters before the first packet.
        on_packet: Called with every encoded packet, from the encoder's thread.
        encoder: ffmpeg's name of an encoder; None for libx264.
        arguments: Further arguments for it, as on ffmpeg's command line.
        limit: Bits per second at most; None for no limit.
    """

    def __init__(
        self,
        picture: OutputPicture,
        templates: StreamTemplates,
        on_packet: Callable[[EncodedPacket], None],
        *,
        encoder: str | None = None,
        arguments: Sequence[str] = (),
        limit: int | None = None,
    ) -> None:
        options = parse_options(arguments)
        name = choose_encoder("", encoder, options)
        encoder_formats(name)
        self._picture = picture
        self._pixel_format = choose_pixel_format(name, options, bit_depth=picture.bit_depth)
        layout = RawLayout(
            pixel_format=self._pixel_format,
            height=picture.height,
            width=picture.width,
            time_base=picture.time_base,
            frame_rate=picture.frame_rate,
        )
        if limit is not None:
            options |= _limited(name, limit, templates)
        self._templates, self._on_packet = templates, on_packet
        self._error: EncodeError | None = None
        reading, writing = os.pipe()
        command = _command(picture, name, options, layout.lead_s)
        self._process = FFmpegProcess(command, output=writing)
        os.close(writing)
        self._raw = RawStream(layout, self._process.write)
        self._thread = threading.Thread(
            target=self._read, args=(reading,), name="vsr-live-encoded", daemon=True
        )
        self._thread.start()

    def write(self, chunk: Chunk) -> None:
        """Encode frames; those of another size are fitted in, with black bars where needed.

        Raises:
            EncodeError: The encoder has stopped, for the reason given.
        """
        if self._error is not None:
            raise self._error
        frames = fitted(chunk.frames, self._picture.height, self._picture.width)
        samples = from_rgb(frames, self._pixel_format, self._picture.colour)
        try:
            self._raw.write_frames(samples.view(torch.uint8).cpu(), chunk.pts)
        except EncodeError as error:
            raise self._explained(error) from error

    def finish(self) -> None:
        """Flush the encoder.

        Raises:
            EncodeError: See ``write``.
        """
        try:
            self._raw.close()
            self._process.finish()
        except EncodeError as error:
            raise self._explained(error) from error
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """End the encoder at once; never raises."""
        self._process.kill()
        self._thread.join()

    def _explained(self, error: EncodeError) -> EncodeError:
        """The cause of a failure, with whether any packet was produced before."""
        self._thread.join()
        return self._error or error

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            try:
                coded = open_input(pipe, format="nut", options=_READ)
            except (FFmpegError, OSError):
                # Nothing came out, or no stream: the log of ffmpeg has the cause.
                message = self._process.failure()
                self._error = EncodeError(f"{message}; change the encoder or its arguments")
                return
            try:
                with coded:
                    self._hand_on(coded)
            except EncodeError as error:
                self._error = error
            except (FFmpegError, OSError) as error:
                # An encoder that failed says so itself, when it is next written to.
                self._error = EncodeError(f"the encoder's output cannot be read ({error})")

    def _hand_on(self, coded: InputContainer) -> None:
        stream = coded.streams.video[0]
        parameters = self._parameters(stream)
        for packet in coded.demux(stream):
            if packet.size and packet.pts is not None:
                self._on_packet(_coded(packet, stream, parameters if packet.is_keyframe else b""))

    def _parameters(self, stream: VideoStream) -> bytes:
        """Parameter sets for key frames: the sinks know those of the first encoder alone."""
        if self._templates.streams:
            return stream.codec_context.extradata or b""
        self._templates.add(stream)
        return b""


def _coded(packet: av.Packet[VideoStream], stream: VideoStream, parameters: bytes) -> EncodedPacket:
    assert packet.pts is not None
    assert stream.time_base is not None
    dts = packet.pts if packet.dts is None else packet.dts
    return EncodedPacket(
        stream_index=0,
        data=parameters + bytes(packet),
        pts=packet.pts,
        dts=dts,
        duration=packet.duration or 0,
        time_base=Fraction(stream.time_base),
        is_key=packet.is_keyframe,
    )


def _limited(encoder: str, limit: int, templates: StreamTemplates) -> Options:
    """Options for a bit rate; x264 keeps its first level, so that nothing else differs."""
    options: Options = {"maxrate": str(limit), "bufsize": str(limit)}
    told = templates.streams[0].codec_context.extradata if templates.streams else None
    if encoder == "libx264" and told is not None and len(told) > _LEVEL:
        options["level"] = str(told[_LEVEL])
    return options


def _key_frames(frame_rate: Fraction, options: Options) -> Options:
    """Key frames at a distance in time: fewer frames may come than the source announces."""
    made: Options = {"g": str(round(KEY_FRAMES_S * frame_rate))}
    if "g" not in options:
        # A millisecond less: times are rounded, and a frame later would be beside one by `g`.
        made["force_key_frames"] = (
            f"expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+{KEY_FRAMES_S - 0.001}))"
        )
    return made


_LEVEL = 7
"""Position of the level in H.264's first parameter set, after a start code of four bytes."""


def _command(picture: OutputPicture, encoder: str, options: Options, lead_s: int) -> list[str]:
    made: Options = {
        **_key_frames(picture.frame_rate, options),
        **without_quality(LIVE_OPTIONS.get(encoder, {}), options),
        **options,
        "f": "nut",
        "flush_packets": "1",
        **NUT_IN_PIPES,
    }
    output = Output(
        path=OUTPUT_PIPE,
        suffix=NUT,
        encoder=encoder,
        options=made,
        colour=picture.colour,
        time_base=picture.time_base,
        is_rounded=True,
        frame_rate=picture.frame_rate,
        sample_aspect_ratio=picture.aspect,
    )
    # Times are the pipe's own again at the other end, shifted by the same lead.
    return build_command(output, lead_s=lead_s)
