"""Describing a video stream by its container and first frame."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vsr.streams.colour.planes import FrameFormat
from vsr.streams.names.container import is_cover
from vsr.streams.names.trim import Trim
from vsr.types import Mastering, OtherStream, StreamInfo

BROADCAST_S = 10
"""A transport or program stream that begins later carries the clock of a broadcast or a disc; files
that ffmpeg or a camera wrote begin within two seconds."""

INTERLEAVING_S = 10
"""Largest distance in a file between packets of one time."""


UNKNOWN_DATA = frozenset({"unknown", "none", "bin_data"})
"""ffmpeg's name of data that it does not know: telemetry among them."""

CHAPTER_HANDLERS = frozenset({"SubtitleHandler", "Core Media Text", "Apple Text Media Handler"})
"""Names of the text tracks that hold the titles of MP4's chapters."""


def describe(
    container: InputContainer,
    stream: VideoStream,
    picture: FrameFormat,
    trim: Trim,
    mastering: Mastering,
    *,
    keep_start: bool = False,
    foreign: Collection[int] = (),
) -> StreamInfo:
    """Describe a stream.

    Args:
        container: The open source.
        stream: The stream that is decoded.
        picture: Format of its first frame.
        trim: The wanted part, for the number of frames.
        mastering: HDR10 metadata of its first frame.
        keep_start: Leave an output's times where the source's are.
        foreign: Indices of streams that belong to other programmes, which are left out.
    """
    height, width = picture.shown_size
    rate = frame_rate(stream)
    others = [s for s in other_streams(container, stream) if s.index not in foreign]
    return StreamInfo(
        height=height,
        width=width,
        time_base=time_base(stream),
        start_pts=stream.start_time or 0,
        shift_s=Fraction(0) if keep_start else _shift(container, stream),
        frame_rate=rate,
        num_frames=_num_frames(container, stream, trim, rate),
        colour=picture.colour,
        mastering=mastering,
        bit_depth=picture.pixel_format.bits,
        pixel_format=picture.pixel_format.name,
        rotation=picture.orientation.degrees,
        sample_aspect_ratio=shown_aspect(stream.sample_aspect_ratio, picture),
        index=stream.index,
        dispositions=dispositions(stream),
        others=tuple(_describe_other(other) for other in others),
    )


def at_field_rate(info: StreamInfo) -> StreamInfo:
    """The description of a stream of which each field becomes a frame."""
    return replace(
        info,
        time_base=info.time_base / 2,
        start_pts=2 * info.start_pts,
        frame_rate=info.frame_rate and 2 * info.frame_rate,
        num_frames=info.num_frames and 2 * info.num_frames,
    )


def frame_rate(stream: VideoStream) -> Fraction | None:
    """Frames per second; ffmpeg's guess, because averages of short or odd files mislead.

    This and the other times become Fraction here: PyAV 19 has a type of its own, which is printed
    otherwise and cannot be rounded.
    """
    rate = stream.guessed_rate or stream.average_rate
    return Fraction(rate) if rate else None


def time_base(stream: VideoStream) -> Fraction:
    """Seconds per unit of the stream's pts."""
    return Fraction(stream.time_base or Fraction(1, av.time_base))


def origin(stream: VideoStream) -> Fraction:
    """Presentation time of the stream's first frame in seconds, as the container says."""
    return (stream.start_time or 0) * time_base(stream)


def _shift(container: InputContainer, stream: VideoStream) -> Fraction:
    """Seconds by which the first moment of picture or sound is moved to zero, where it has to be.

    MP4 and Matroska show nothing from below zero, and players wait for hours where the clock of a
    broadcast is at ten.
    """
    start = origin(stream)
    is_broadcast = Flags.ts_discont in Flags(container.format.flags) and start >= BROADCAST_S
    if start >= 0 and not is_broadcast:
        return Fraction(0)
    sounds = (_begin(stream) for stream in copied_streams(container))
    near = [s for s in sounds if s is not None and abs(s - start) <= INTERLEAVING_S]
    return -min([start, *near])


def _begin(stream: Stream) -> Fraction | None:
    """Presentation time of a stream's first packet in seconds, where it is known."""
    if stream.start_time is None or stream.time_base is None:
        return None
    return stream.start_time * Fraction(stream.time_base)


def shift_note(info: StreamInfo) -> str | None:
    """A sentence about times that are shifted; None where they are not."""
    if not info.shift_s:
        return None
    begin = f"{float(abs(info.shift_s)):.2f} s {'before' if info.shift_s > 0 else 'after'} zero"
    return f"the source begins {begin}: all streams are shifted to begin at 0 (--keep-start)"


def copied_streams(container: InputContainer, foreign: Collection[int] = ()) -> list[AudioStream]:
    """The streams whose packets go past the network: audio described well enough to copy.

    Args:
        container: The open source.
        foreign: Indices of streams that belong to other programmes.
    """
    audio = [stream for stream in container.streams.audio if stream.index not in foreign]
    return [stream for stream in audio if _can_be_copied(stream)]


def other_streams(container: InputContainer, video: VideoStream) -> Sequence[Stream]:
    """The streams beside the one that is decoded."""
    return [stream for stream in container.streams if stream.index != video.index]


def dispositions(stream: Stream) -> tuple[str, ...]:
    """Ffmpeg's names of a stream's flags."""
    flags = Disposition(stream.disposition)
    return tuple(flag.name for flag in Disposition if flag in flags and flag.name)


def _describe_other(stream: Stream) -> OtherStream:
    context = stream.codec_context
    codec = context.codec.canonical_name if context else "unknown"
    return OtherStream(
        index=stream.index,
        kind="cover" if is_cover(stream) else stream.type,
        codec=_name(stream, codec),
        language=stream.language,
        dispositions=dispositions(stream),
        template=stream if _can_be_copied(stream) else None,
    )


def _name(stream: Stream, codec: str) -> str:
    """Name of a stream's codec, or the container's word for it where ffmpeg knows none."""
    if stream.type == "attachment":
        return stream.metadata.get("mimetype", codec)
    if stream.type != "data" or codec not in UNKNOWN_DATA:
        return codec
    if "timecode" in stream.metadata:
        return "tmcd"
    if stream.metadata.get("handler_name", "") in CHAPTER_HANDLERS and stream.container.chapters():
        return "text"
    return stream.metadata.get("handler_name", "").strip("\0\x0b ") or codec


def _can_be_copied(stream: Stream) -> bool:
    """Whether enough is known of a stream; damaged files announce sound of no sample rate."""
    if not isinstance(stream, AudioStream):
        return True
    return bool(stream.codec_context and stream.codec_context.sample_rate)


def _num_frames(
    container: InputContainer, stream: VideoStream, trim: Trim, rate: Fraction | None
) -> int | None:
    if stream.frames and trim.everything:
        return stream.frames
    duration = _duration(container, stream)
    if duration is None or rate is None:
        return None
    return trim.count(duration, origin(stream), rate)


def _duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def shown_aspect(coded: Fraction | None, picture: FrameFormat) -> Fraction:
    """Width of a pixel over its height after rotation; None where the stream does not say."""
    ratio = Fraction(coded or 1)
    return 1 / ratio if picture.orientation.transposed else ratio
