"""Planning an output before ffmpeg starts: pixel format, size, colour, audio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from av.error import FFmpegError

from vsr.errors import ConfigurationError
from vsr.streams.colour import tags as colour_tags
from vsr.streams.colour.pixel_format import PixelFormat, parse_pixel_format
from vsr.streams.colour.tags import LUMA_WEIGHTS, MATRICES, complete
from vsr.streams.decode.timestamps import FALLBACK_RATE
from vsr.streams.decode.unsupported import frame_data_notes
from vsr.streams.encode.audio import AudioTrack
from vsr.streams.encode.command import Output, SourceFile
from vsr.streams.encode.encoders import (
    choose_encoder,
    choose_pixel_format,
    encoder_formats,
    is_lossless,
    keeps_odd_sizes,
    parse_options,
    refuse_ends,
    with_fixed_threads,
)
from vsr.streams.encode.messages import CARRIERS, SOURCES, carrier_of
from vsr.streams.encode.metadata import lost_labels, read_tags
from vsr.streams.encode.negotiation import carried_of, negotiate_output
from vsr.streams.encode.raw_nut import CARRIED_CODECS, RawLayout
from vsr.streams.encode.request import EncodeRequest
from vsr.streams.encode.side_streams import SideStream, choose_side_streams, extract_covers
from vsr.streams.encode.time_base import clock_note, container_clock
from vsr.streams.ffmpeg.command import Options
from vsr.streams.names.container import PIPE, local_name, open_input
from vsr.streams.names.formats import pipe_options, suffix_of
from vsr.streams.names.image_sequence import IMAGE_SUFFIXES
from vsr.types import Colour, OtherStream, StreamInfo

_BT601_ONLY = frozenset({"mjpeg", "ljpeg", "libvpx"})
"""JPEG (JFIF) and VP8 (RFC 6386, section 9.2) have no other matrix; decoders look at no tag."""

_FULL_RANGE_ONLY = frozenset({"mjpeg", "ljpeg"})
"""JPEG has no range either; its encoders refuse another."""


def encoded_colour(colour: Colour, encoder: str) -> Colour:
    """Tags of the frames that an encoder is given."""
    if encoder in _BT601_ONLY:
        colour = replace(colour, matrix="smpte170m")
    return replace(colour, range="pc") if encoder in _FULL_RANGE_ONLY else colour


def shown_colour(
    path: str, colour: Colour, pixel_format: PixelFormat, size: tuple[int, int]
) -> Colour:
    """Tags with which encoded frames are shown in the right colours.

    Args:
        path: A file of one frame that was encoded with the wanted tags.
        colour: The wanted tags.
        pixel_format: Pixel format of the frames.
        size: Their rows and columns.

    Returns:
        The wanted tags, with the matrix that the file says, or that players take where it says
        none.
    """
    if pixel_format.family != "yuv":
        return colour
    try:
        with open_input(local_name(path)) as container:
            frame = next(container.decode(video=0))
    except (FFmpegError, OSError, ValueError, IndexError, StopIteration):
        return colour
    if not frame.format.name.startswith("yuv"):
        return colour
    guess = complete(Colour(), pixel_format, height=size[0], width=size[1]).matrix
    matrix = MATRICES.get(frame.colorspace) or guess
    if matrix is None or LUMA_WEIGHTS.get(matrix) in {None, LUMA_WEIGHTS.get(colour.matrix or "")}:
        return colour
    return replace(colour, matrix=matrix)


_PLAYLISTS = frozenset({".m3u8", ".mpd"})
_MANY_FILES = frozenset({"dash", "hls", "segment", "smoothstreaming", "ssegment", "stream_segment"})
_HELD_TOGETHER = frozenset({".webp"})


def refuse_many_files(target: str, suffix: str, options: Options, num_frames: int | None) -> None:
    """Refuse outputs that one file cannot hold.

    Args:
        target: The output's name.
        suffix: The container, as ``suffixes.suffix_of`` names it.
        options: The user's.
        num_frames: How many frames come, as far as that is known.

    Raises:
        ConfigurationError: It cannot: the container is a playlist, or one picture.
    """
    if suffix in _PLAYLISTS or options.get("f") in _MANY_FILES:
        raise ConfigurationError(
            f"{target!r} would be a playlist with files of its own, which cannot be exchanged in "
            "one go; give a file such as 'out.mp4', and cut that by "
            "'ffmpeg -i out.mp4 -c copy -hls_playlist_type vod out.m3u8'"
        )
    # Of a still picture no number of frames is known.
    is_one = num_frames == 1 or "update" in options
    if suffix in IMAGE_SUFFIXES - _HELD_TOGETHER and num_frames is not None and not is_one:
        stem = Path(target).stem
        raise ConfigurationError(
            f"{target!r} holds one picture; give a folder such as '{stem}/', or a pattern such as "
            f"'{stem}_%06d{suffix}'"
        )


UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class EncodingPlan:
    """The raw stream sent to ffmpeg and the output made from it.

    Attributes:
        layout: The raw stream.
        output: The target; its path is that of the trial.
        notes: Differences from what was asked for or is usual, a sentence each.
        messages: Whether messages within the source's packets go into the encoded ones.
    """

    layout: RawLayout
    output: Output
    notes: tuple[str, ...]
    messages: bool = False


@dataclass(frozen=True, kw_only=True)
class PicturePlan:
    """Choices for encoding the picture, by ffmpeg or in process.

    Attributes:
        encoder: ffmpeg's name.
        options: The user's.
        pixel_format: What frames are converted to.
        size: Rows and columns of the frames, even where the encoder needs that.
        colour: Their tags.
        size_note: A sentence where the size differs from the one asked for.
    """

    encoder: str
    options: Options
    pixel_format: PixelFormat
    size: tuple[int, int]
    colour: Colour
    size_note: str | None


def plan_picture(
    request: EncodeRequest,
    suffix: str,
    *,
    formats: Callable[[str], tuple[str, ...]] = encoder_formats,
) -> PicturePlan:
    """Decide how frames are encoded into a container.

    Args:
        request: What is to be encoded.
        suffix: The container, as ``suffix_of`` names it.
        formats: Names the pixel formats of an encoder.

    Raises:
        ConfigurationError: There is no such encoder, or a word among its arguments is no option
            that can be used.
    """
    info, (height, width) = request.info, request.size
    options = parse_options(request.encode_args)
    refuse_ends(options)
    name = choose_encoder(suffix, request.encoder, options)
    source = parse_pixel_format(info.pixel_format)
    pixel_format = choose_pixel_format(
        name, options, bit_depth=info.bit_depth, source=source, taken=formats(name)
    )
    even = not keeps_odd_sizes(name, pixel_format)
    size = height + (even and height % 2), width + (even and width % 2)
    return PicturePlan(
        encoder=name,
        options=with_fixed_threads(name, options),
        pixel_format=pixel_format,
        size=size,
        colour=encoded_colour(_output_colour(info), name),
        size_note=_size_note(request.size, size, pixel_format),
    )


def plan_encoding(
    request: EncodeRequest, trial_path: str, covers: Path, *, in_segments: bool = False
) -> EncodingPlan:
    """Plan the encoding and try it with one frame.

    Args:
        request: What is to be encoded; the suffix of the target names the container.
        trial_path: A file of the same container that may be written.
        covers: A folder where cover pictures are put that have to be attached.
        in_segments: Whether the output is encoded in segments, so that messages can be put into
            encoded packets.

    Raises:
        ConfigurationError: The encoder, its arguments or the container do not work.
    """
    info, source = request.info, request.source_file
    options = parse_options(request.encode_args)
    suffix = suffix_of(request.target, _file_format(options))
    refuse_many_files(request.target, suffix, options, info.num_frames)
    picture = plan_picture(request, suffix)
    tracks, copied, audio_note = _choose_audio(info, source)
    sides, side_note = choose_side_streams(info, suffix, from_file=source is not None)
    if source:
        extract_covers(source.path, sides, covers)
    clock = container_clock(suffix, info.time_base, info.frame_rate)
    layout = RawLayout(
        pixel_format=picture.pixel_format,
        height=picture.size[0],
        width=picture.size[1],
        time_base=clock,
        frame_rate=info.frame_rate,
        copied=copied,
        shift_s=source.shift_s if source else info.shift_s,
    )
    wanted = _wanted_output(
        request, picture, path=trial_path, suffix=suffix, audio=tracks, sides=sides, covers=covers
    )
    output, trial_notes = negotiate_output(wanted, layout)
    if not is_lossless(picture.encoder, wanted.options):
        colour = shown_colour(trial_path, output.colour, picture.pixel_format, picture.size)
        output = replace(output, colour=colour)
    carried = carried_data(info, source, picture.encoder) if in_segments else frozenset[str]()
    rate_note = clock_note(f"'{suffix}'", clock) if wanted.is_rounded else None
    notes = (picture.size_note, rate_note, audio_note, side_note, *trial_notes)
    notes += frame_data_notes(info.frame_data - carried)
    return EncodingPlan(
        layout=replace(layout, copied=carried_of(copied, output), time_base=output.time_base),
        output=output,
        notes=tuple(filter(None, (*notes, _labels_note(source, output)))),
        messages=bool(carried),
    )


def _wanted_output(
    request: EncodeRequest,
    picture: PicturePlan,
    *,
    path: str,
    suffix: str,
    audio: tuple[AudioTrack, ...],
    sides: tuple[SideStream, ...],
    covers: Path,
) -> Output:
    """The output with everything that is asked for, before any trial."""
    info, source = request.info, request.source_file
    options = picture.options
    if request.target == PIPE:
        options = pipe_options(_file_format(options)) | options
    clock = container_clock(suffix, info.time_base, info.frame_rate)
    return Output(
        path=path,
        suffix=suffix,
        encoder=picture.encoder,
        options=options,
        colour=picture.colour,
        mastering=info.mastering,
        time_base=clock,
        is_rounded=clock != info.time_base,
        frame_rate=info.frame_rate or FALLBACK_RATE,
        sample_aspect_ratio=info.sample_aspect_ratio,
        audio=audio,
        sides=sides,
        covers=covers,
        index=info.index,
        dispositions=info.dispositions,
        source=source,
        tags=read_tags(source.path) if source else {},
    )


def _labels_note(source: SourceFile | None, output: Output) -> str | None:
    """A sentence about metadata that a container cannot hold."""
    if source and (labels := lost_labels(source.path, output.suffix, _kept(output))):
        return f"'{output.suffix}' cannot store the source's {', '.join(labels)}"
    return None


def carried_data(info: StreamInfo, source: SourceFile | None, encoder: str) -> frozenset[str]:
    """Kinds of data within a source's frames that encoded packets can take over."""
    wanted = info.frame_data & CARRIERS.get(carrier_of(encoder) or "", frozenset())
    if source is None or not wanted:
        return frozenset()
    try:
        with open_input(local_name(source.path)) as container:
            codec = container.streams[info.index].codec_context
            known = codec is not None and codec.codec.canonical_name in SOURCES
    except (FFmpegError, OSError, ValueError, IndexError):
        return frozenset()
    return wanted if known else frozenset()


def _kept(output: Output) -> list[int]:
    tracks = [track.index for track in output.audio]
    return [output.index, *tracks, *(side.index for side in output.sides)]


def _file_format(options: Options) -> str | None:
    given = options.get("f")
    return given if isinstance(given, str) else None


def _choose_audio(
    info: StreamInfo, source: SourceFile | None
) -> tuple[tuple[AudioTrack, ...], tuple[OtherStream, ...], str | None]:
    audio = [other for other in info.others if other.kind == "audio"]
    known = [other for other in audio if other.template and other.codec != UNKNOWN]
    carried = tuple(other for other in known if other.codec in CARRIED_CODECS)
    kept = [other for other in known if other in carried or source]
    tracks = tuple(
        AudioTrack(
            index=other.index,
            codec=other.codec,
            language=other.language,
            dispositions=other.dispositions,
            carried=other in carried,
        )
        for other in kept
    )
    return tracks, carried, _lost_sound_note([other for other in audio if other not in kept])


def _lost_sound_note(lost: Sequence[OtherStream]) -> str | None:
    unknown = [other for other in lost if other.codec == UNKNOWN or not other.template]
    sentences = ["audio whose codec is not known is left out"] if unknown else []
    if codecs := ", ".join(sorted({other.codec for other in lost if other not in unknown})):
        sentences.append(
            f"audio of this kind can be copied from a file only, and is left out: {codecs}"
        )
    return "; ".join(sentences) or None


def _output_colour(info: StreamInfo) -> Colour:
    pixel_format = parse_pixel_format(info.pixel_format) or _ASSUMED
    turned = info.rotation in {90, 270}
    height, width = (info.width, info.height) if turned else (info.height, info.width)
    return colour_tags.for_output(info.colour, pixel_format, height=height, width=width)


_ASSUMED = PixelFormat(name="yuv420p", family="yuv", bits=8, shifts=(1, 1))


def _size_note(
    wanted: tuple[int, int], size: tuple[int, int], pixel_format: PixelFormat
) -> str | None:
    if wanted == size:
        return None
    return (
        f"{wanted[1]}x{wanted[0]} is odd, which {pixel_format.name} cannot be with this encoder: "
        f"the last row or column is repeated, to {size[1]}x{size[0]}; "
        "'-pix_fmt yuv444p' keeps the size"
    )
