"""Building ffmpeg's command line, for files and live streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path

import ffmpeg

from vsr.streams.colour.hdr import mastering_options
from vsr.streams.decode.timestamps import FALLBACK_RATE
from vsr.streams.encode.audio import AudioTrack, audio_options
from vsr.streams.encode.encoders import default_options
from vsr.streams.encode.metadata import language_code
from vsr.streams.encode.side_streams import (
    COPY,
    SideStream,
    attachment_options,
    disposition,
    side_options,
)
from vsr.streams.encode.time_base import AVI
from vsr.streams.ffmpeg.command import Options, output_command
from vsr.streams.names.container import local_name
from vsr.streams.names.formats import ADDRESS_FORMATS, MATROSKA, MOV_FAMILY, NUT, WEBM
from vsr.types import Colour, Mastering

_MIN_TIMESCALE = 10_000


def container_options(suffix: str, time_base: Fraction) -> Options:
    """Options of ffmpeg's output.

    Args:
        suffix: The container, as ``suffixes.suffix_of`` names it.
        time_base: Time base of the frames.
    """
    if suffix in MOV_FAMILY:
        return {"movflags": "+faststart", "video_track_timescale": _timescale(time_base)}
    if suffix in ADDRESS_FORMATS:
        return {"f": ADDRESS_FORMATS[suffix]}
    if suffix in {*MATROSKA, *WEBM, AVI}:
        # Audio that begins before the first frame keeps its place; otherwise all would be late.
        return {"avoid_negative_ts": "disabled"}
    if suffix == NUT:
        return {"f": "nut", "write_index": "0"}
    return {}


def _timescale(time_base: Fraction) -> str:
    """A multiple of the source's, fine enough for players that expect one of 10000 or more."""
    scale = time_base.denominator
    while scale < _MIN_TIMESCALE:
        scale *= 2
    return str(scale)


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """The source as ffmpeg's second input, for streams that are not in the raw stream.

    Attributes:
        path: A file.
        shift_s: Seconds to add to its times.
        start_s: Where to begin, in its own time; None for its beginning.
        end_s: Where to end, in its own time; None for its end.
    """

    path: str
    shift_s: Fraction = Fraction(0)
    start_s: Fraction | None = None
    end_s: Fraction | None = None


class ProbeLimits(Enum):
    """Limits of ffmpeg's probing of the raw stream beyond its header."""

    NONE = "none"
    """No limits: the description of the streams does not depend on which packets come first."""
    LEAST = "least"
    """Enough to encode or copy the streams at once."""
    ALL = "all"
    """Enough to read the properties of encoded frames."""


_PROBING: dict[ProbeLimits, Options] = {
    ProbeLimits.NONE: {"nofind_stream_info": None},
    ProbeLimits.LEAST: {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"},
    ProbeLimits.ALL: {},
}


def raw_options(
    colour: Colour,
    mastering: Mastering,
    audio_codecs: Sequence[str],
    *,
    lead_s: int,
    probing: ProbeLimits = ProbeLimits.LEAST,
) -> Options:
    """Input options of the raw stream for properties that NUT does not store.

    Args:
        colour: Tags of the frames.
        mastering: HDR10 metadata of the frames.
        audio_codecs: Codecs of the audio streams in it.
        lead_s: Seconds by which its times are late.
        probing: How far ffmpeg looks ahead.
    """
    return {
        **_PROBING[probing],
        **tag_options(colour),
        **mastering_options(mastering),
        **sound_options(audio_codecs, lead_s=lead_s),
    }


def sound_options(audio_codecs: Sequence[str], *, lead_s: int) -> Options:
    """Input options of a NUT file of copied audio, for what NUT does not store."""
    # NUT has one tag for AC-3 and E-AC-3.
    codecs = {f"c:a:{place}": codec for place, codec in enumerate(audio_codecs)}
    return {"f": "nut", "itsoffset": str(-lead_s), **codecs}


def tag_options(colour: Colour) -> dict[str, str]:
    """Options for the colour tags of frames."""
    tags = {
        "colorspace": colour.matrix,
        "color_primaries": colour.primaries,
        "color_trc": colour.transfer,
        "color_range": colour.range,
        "chroma_sample_location": colour.chroma_location,
    }
    return {key: value for key, value in tags.items() if value}


def seek_options(source: SourceFile) -> Options:
    """Options that read the wanted part of the source, at the output's times."""
    times = {"ss": source.start_s, "to": source.end_s, "itsoffset": source.shift_s}
    seek: Options = {key: seconds(time) for key, time in times.items() if time is not None}
    return seek | {"seek_timestamp": "1"} if source.start_s is not None else seek


def seconds(time: Fraction) -> str:
    """A time as ffmpeg takes it."""
    return f"{float(time):.6f}"


_FILTER_KEYS = ("vf", "filter:v", "filter:v:0")

_FRAME_DURATION = "setts=pts=PTS:dts=DTS:duration=1/({rate})/TB"
"""MP4 hides a last frame of no duration behind its edit list; it counts for the last one only."""

_STATISTICS = ("BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS_TAGS", "alpha_mode")
"""Tags of a track in Matroska files that are no longer true of its encoded frames."""

_FREE_TAGS = "+use_metadata_tags"
"""MP4 and MOV otherwise write the tags of iTunes alone; phones have their own."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """The output that ffmpeg makes from the raw stream.

    Attributes:
        path: File or address to write.
        suffix: The container, as a file's suffix; of an address, its scheme with ``://``.
        encoder: The video encoder.
        options: The user's options for the output; they override all others.
        colour: Tags of the raw frames.
        mastering: HDR10 metadata of the raw frames.
        time_base: Time base of the frames: containers that can keep it do.
        is_rounded: Whether the encoder takes it as it is given, not as the raw stream's muxer
            refined it: it is coarser than the source's, because more cannot be encoded.
        frame_rate: Average frame rate of the source.
        sample_aspect_ratio: Width of a pixel over its height.
        audio: The audio streams; carried ones come first in the output.
        sides: The other streams that are taken from the source.
        covers: A folder that holds the cover pictures to attach.
        index: Index of the video stream in the source.
        dispositions: Dispositions of the video stream.
        tags: Tags of the source, by their names in lower case.
        source: The file from which metadata, chapters and all streams not carried are taken.
        probing: How far ffmpeg looks ahead in the raw stream.
    """

    path: str
    suffix: str
    encoder: str
    options: Options = field(default_factory=dict)
    colour: Colour
    mastering: Mastering = field(default_factory=Mastering)
    time_base: Fraction
    is_rounded: bool = False
    frame_rate: Fraction = FALLBACK_RATE
    sample_aspect_ratio: Fraction = Fraction(1)
    audio: tuple[AudioTrack, ...] = ()
    sides: tuple[SideStream, ...] = ()
    covers: Path = Path()
    index: int = 0
    dispositions: tuple[str, ...] = ()
    source: SourceFile | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    probing: ProbeLimits = ProbeLimits.LEAST

    @property
    def carried(self) -> list[AudioTrack]:
        """The audio streams in the raw stream, in its order."""
        return [track for track in self.audio if track.carried]

    @property
    def direct(self) -> list[AudioTrack]:
        """The audio streams that ffmpeg reads from the source itself."""
        return [track for track in self.audio if not track.carried]


def build_command(output: Output, *, lead_s: int, sound: Path | None = None) -> list[str]:
    """The program and its arguments.

    Args:
        output: What to make.
        lead_s: Seconds by which the raw stream's times are late.
        sound: A NUT file with the same delay that holds the carried audio; None where the raw
            stream holds it.
    """
    codecs = [track.codec for track in output.carried]
    options = raw_options(
        output.colour,
        output.mastering,
        [] if sound else codecs,
        lead_s=lead_s,
        probing=output.probing,
    )
    raw = ffmpeg.input("pipe:0", **options)
    streams = [raw["v:0"]]
    carrier = raw
    if sound is not None and codecs:
        carrier = ffmpeg.input(local_name(str(sound)), **sound_options(codecs, lead_s=lead_s))
    streams += [carrier[f"a:{place}"] for place in range(len(codecs))]
    if output.source is not None:
        source = ffmpeg.input(local_name(output.source.path), **seek_options(output.source))
        indices = [track.index for track in output.direct]
        indices += [side.index for side in output.sides if not side.attached]
        # Something has to be mapped for the source to be an input at all: -sn leaves it out again.
        streams += [source[str(index)] for index in indices] or [source["s?"]]
    options = (
        _video_options(output)
        | container_options(output.suffix, output.time_base)
        | _tag_options(output)
        | audio_options(output.carried + output.direct)
    )
    trimmed = output.source is not None and output.source.start_s is not None
    # Inputs are numbered in the order in which their streams are mapped.
    number = 1 if carrier is raw else 2
    options |= _source_options(output, number)
    options |= side_options(output.sides, trimmed=trimmed, number=number)
    options |= output.options
    _join_filters(options, output)
    options |= attachment_options(output.sides, output.covers)
    return output_command(streams, output.path, options)


def build_cut(output: Output, target: str, end_s: Fraction) -> list[str]:
    """A command that copies an output up to a time: sound can be longer than frames."""
    # Attached covers come back as streams of video, which V leaves out: they are attached again.
    attached = any(side.attached for side in output.sides)
    options: Options = {
        "map": ["0:V", "0:a?", "0:s?", "0:t?"] if attached else ["0"],
        "c": "copy",
        "t": seconds(end_s),
    }
    options |= container_options(output.suffix, output.time_base)
    options |= attachment_options(output.sides, output.covers)
    return output_command([ffmpeg.input(local_name(output.path))], target, options)


def _video_options(output: Output) -> Options:
    if output.encoder == COPY:
        # What a decoder finds out while ffmpeg probes would otherwise stand for the tags.
        tags = {f"{name}:v:0": tag for name, tag in tag_options(output.colour).items()}
        times = _FRAME_DURATION.format(rate=output.frame_rate)
        times += f":time_base={output.time_base}" if output.is_rounded else ""
        return {"c:v:0": COPY, "bsf:v:0": times, **tags}
    return {
        "c:v:0": output.encoder,
        "fps_mode": "passthrough",
        # The muxer of the raw stream may take a finer time base than it is given.
        "enc_time_base": str(output.time_base) if output.is_rounded else "demux",
        **({"bf": "0"} if output.suffix == AVI else {}),
        **default_options(output.encoder, output.options),
    }


def _tag_options(output: Output) -> Options:
    """Options without which ffmpeg drops tags of the source."""
    options: Options = {}
    if output.suffix in MOV_FAMILY and any("." in name for name in output.tags):
        options["movflags"] = f"+faststart{_FREE_TAGS}"
    if created := output.tags.get("creation_time"):
        # PyAV 19 joins the values of a tag that is there twice; ffmpeg would understand neither.
        options["metadata:g"] = f"creation_time={created.partition(';')[0]}"
    return options


def _source_options(output: Output, number: int) -> Options:
    """Options for metadata and streams of the source, which is the input of this number."""
    options: Options = {"disposition:v:0": disposition(output.dispositions)}
    for place, track in enumerate(output.carried + output.direct):
        options[f"disposition:a:{place}"] = disposition(track.dispositions)
        if language := language_code(output.suffix, track.language):
            options[f"metadata:s:a:{place}"] = f"language={language}"
    if output.source is None:
        return options
    options |= {
        "map_metadata": str(number),
        "map_chapters": str(number),
        "map_metadata:s:v:0": f"{number}:s:{output.index}",
    }
    options["metadata:s:v:0"] = [f"{name}=" for name in _STATISTICS]
    for place, track in enumerate(output.carried + output.direct):
        options[f"map_metadata:s:a:{place}"] = f"{number}:s:{track.index}"
    if not output.direct and all(side.attached for side in output.sides):
        options["sn"] = None
    if output.source.end_s is not None:
        # Chapters that begin later are left out by this; the frames end earlier by themselves.
        options["t"] = seconds(output.source.end_s + output.source.shift_s)
    return options


def _join_filters(options: Options, output: Output) -> None:
    """All filters on the one stream that is encoded: a cover beside it is copied."""
    filters = [str(options.pop(key)) for key in _FILTER_KEYS if key in options]
    ratio = output.sample_aspect_ratio
    if ratio != 1:
        filters.insert(0, f"setsar={ratio.numerator}/{ratio.denominator}")
    if filters:
        options["filter:v:0"] = ",".join(filters)
