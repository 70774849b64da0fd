"""The command line of the encoding ffmpeg, built with ffmpeg-python."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import ffmpeg

from vsr.streams.container import local_name
from vsr.streams.encoder import DEFAULT_OPTIONS, Options
from vsr.streams.ffmpeg import find_ffmpeg
from vsr.types import Colour

_MOV_FAMILY = frozenset({".mp4", ".mov", ".m4v", ".3gp", ".3g2"})
_MATROSKA = frozenset({".mkv", ".webm", ".mka"})
_MIN_TIMESCALE = 10_000
_FILTER_KEYS = ("vf", "filter:v")

ADDRESS_FORMATS = {
    "rtmp://": "flv",
    "rtmps://": "flv",
    "srt://": "mpegts",
    "tcp://": "mpegts",
    "udp://": "mpegts",
}
"""Containers of addresses, which have no suffix."""

AUDIO_BIT_RATE = "192k"

_PACKET_DURATIONS = r"setts=duration=if(DURATION\,DURATION\,{last})".format(
    last=r"if(eq(NEXT_PTS\,NOPTS)\,PREV_OUTDURATION\,NEXT_PTS-PTS)"
)
"""NUT holds no durations, and MP4 hides a last packet of none behind the end of its edit list."""

_MESSAGES = ("-hide_banner", "-nostdin", "-loglevel", "level+warning", "-nostats")
_REPORTS = ("-progress", "pipe:2", "-stats_period", "1")


@dataclass(frozen=True, kw_only=True)
class AudioTrack:
    """An audio stream of the output.

    Attributes:
        index: In the source's container.
        codec: ffmpeg's name of the source's codec.
        carried: In the raw stream; otherwise ffmpeg reads it from the source itself.
    """

    index: int
    codec: str
    carried: bool


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """The source as a second input, for what is not in the raw stream.

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


@dataclass(frozen=True, kw_only=True)
class Output:
    """What ffmpeg makes of the raw stream.

    Attributes:
        path: File or address to write.
        suffix: The container, as a file's suffix; of an address, its scheme with ``://``.
        encoder: The video encoder.
        options: The user's options for the output; they override all others.
        colour: Tags of the raw frames.
        time_base: Of the source: containers that can keep it do.
        sample_aspect_ratio: Width of a pixel over its height.
        audio: The audio streams; carried ones come first in the output.
        copy_audio: Copied as it is, or encoded anew by the container's usual codec.
        source: Where metadata, chapters and audio that is not carried come from.
    """

    path: str
    suffix: str
    encoder: str
    options: Options = field(default_factory=dict)
    colour: Colour
    time_base: Fraction
    sample_aspect_ratio: Fraction = Fraction(1)
    audio: tuple[AudioTrack, ...] = ()
    copy_audio: bool = True
    source: SourceFile | None = None

    @property
    def carried(self) -> list[AudioTrack]:
        """The audio streams in the raw stream, in its order."""
        return [track for track in self.audio if track.carried]

    @property
    def direct(self) -> list[AudioTrack]:
        """The audio streams that ffmpeg reads from the source itself."""
        return [track for track in self.audio if not track.carried]


def build_command(output: Output, *, lead_s: int) -> list[str]:
    """The program and its arguments.

    Args:
        output: What to make.
        lead_s: Seconds by which the raw stream's times are late.
    """
    raw = ffmpeg.input("pipe:0", **_raw_options(output, lead_s))
    streams = [raw["v:0"], *(raw[f"a:{place}"] for place in range(len(output.carried)))]
    if output.source is not None:
        source = ffmpeg.input(local_name(output.source.path), **_seek_options(output.source))
        # Its subtitles are mapped, so that it is an input at all, and left out again by -sn.
        streams += [source[str(track.index)] for track in output.direct] + [source["s?"]]
    options = _video_options(output) | _container_options(output) | _audio_options(output)
    options |= _source_options(output) | output.options
    _join_filters(options, output)
    node = ffmpeg.output(*streams, local_name(output.path), **options)
    node = node.global_args(*_MESSAGES, *_REPORTS, "-copyts").overwrite_output()
    command: list[str] = node.compile(cmd=find_ffmpeg())
    return command


def build_cut(output: Output, target: str, end_s: Fraction) -> list[str]:
    """Arguments that copy an output up to a moment of its time: sound can be longer than frames."""
    options = {"map": "0", "c": "copy", "t": _seconds(end_s)} | _container_options(output)
    node = ffmpeg.input(local_name(output.path)).output(local_name(target), **options)
    arguments: list[str] = node.global_args("-copyts").overwrite_output().get_args()
    return arguments


def _raw_options(output: Output, lead_s: int) -> Options:
    tags = {
        "colorspace": output.colour.matrix,
        "color_primaries": output.colour.primaries,
        "color_trc": output.colour.transfer,
        "color_range": output.colour.range,
        "chroma_sample_location": output.colour.chroma_location,
    }
    # NUT has one tag for AC-3 and E-AC-3.
    codecs = {f"c:a:{place}": track.codec for place, track in enumerate(output.carried)}
    return {
        "f": "nut",
        # NUT's header says everything; probing would hold frames back.
        "probesize": "32",
        "analyzeduration": "0",
        "fpsprobesize": "0",
        "itsoffset": str(-lead_s),
        **{key: value for key, value in tags.items() if value},
        **codecs,
    }


def _seek_options(source: SourceFile) -> Options:
    times = {"ss": source.start_s, "to": source.end_s, "itsoffset": source.shift_s}
    seek: Options = {key: _seconds(time) for key, time in times.items() if time is not None}
    return seek | {"seek_timestamp": "1"} if source.start_s is not None else seek


def _seconds(time: Fraction) -> str:
    return f"{float(time):.6f}"


def _video_options(output: Output) -> Options:
    return {
        "c:v": output.encoder,
        "fps_mode": "passthrough",
        "enc_time_base": "demux",
        **DEFAULT_OPTIONS.get(output.encoder, {}),
    }


def _container_options(output: Output) -> Options:
    if output.suffix in _MOV_FAMILY:
        return {"movflags": "+faststart", "video_track_timescale": _timescale(output.time_base)}
    if output.suffix in ADDRESS_FORMATS:
        return {"f": ADDRESS_FORMATS[output.suffix]}
    if output.suffix in _MATROSKA:
        # Audio that begins before the first frame keeps its place; otherwise all would be late.
        return {"avoid_negative_ts": "disabled"}
    return {}


def _timescale(time_base: Fraction) -> str:
    """A multiple of the source's, fine enough for players that expect one of 10000 or more."""
    scale = time_base.denominator
    while scale < _MIN_TIMESCALE:
        scale *= 2
    return str(scale)


def _audio_options(output: Output) -> Options:
    if not output.audio:
        return {}
    if not output.copy_audio:
        return {"b:a": AUDIO_BIT_RATE}
    return {"c:a": "copy", "bsf:a": _PACKET_DURATIONS}


def _source_options(output: Output) -> Options:
    if output.source is None:
        return {}
    options: Options = {"sn": None, "map_metadata": "1", "map_chapters": "1"}
    for position, track in enumerate(output.carried + output.direct):
        options[f"map_metadata:s:a:{position}"] = f"1:s:{track.index}"
    if output.source.end_s is not None:
        # Chapters that begin later are left out by this; the frames end earlier by themselves.
        options["t"] = _seconds(output.source.end_s + output.source.shift_s)
    return options


def _join_filters(options: Options, output: Output) -> None:
    ratio = output.sample_aspect_ratio
    if ratio == 1:
        return
    given = [str(options.pop(key)) for key in _FILTER_KEYS if key in options]
    options["vf"] = ",".join([f"setsar={ratio.numerator}/{ratio.denominator}", *given])


def suffix_of(target: str) -> str:
    """What names the container: a file's suffix, or an address's scheme such as ``rtmp://``."""
    suffix = Path(target).suffix.lower()
    scheme = target.partition("://")[0] + "://"
    return scheme if scheme in ADDRESS_FORMATS else suffix
