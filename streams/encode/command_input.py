"""The two inputs of the encoding ffmpeg: the raw stream from us, and the source itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from vsr.streams.colour.hdr import mastering_options
from vsr.streams.encode.encoders import Options
from vsr.types import Colour, Mastering


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


class Probing(Enum):
    """What ffmpeg looks for in a raw stream beside its header, which says everything of frames."""

    NONE = "none"
    """Nothing: what it makes of the streams does not depend on which packets come first."""
    LEAST = "least"
    """What is needed to encode or copy the streams at once."""
    ALL = "all"
    """What encoded frames say of themselves."""


_PROBING: dict[Probing, Options] = {
    Probing.NONE: {"nofind_stream_info": None},
    Probing.LEAST: {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0"},
    Probing.ALL: {},
}


def raw_options(
    colour: Colour,
    mastering: Mastering,
    audio_codecs: Sequence[str],
    *,
    lead_s: int,
    probing: Probing = Probing.LEAST,
) -> Options:
    """Options of the raw stream: what NUT does not say of its frames and packets.

    Args:
        colour: Tags of the frames.
        mastering: HDR10 metadata of the frames.
        audio_codecs: Of the audio streams in it.
        lead_s: Seconds by which its times are late.
        probing: How far ffmpeg looks ahead.
    """
    return {
        "f": "nut",
        **_PROBING[probing],
        "itsoffset": str(-lead_s),
        **tag_options(colour),
        **mastering_options(mastering),
        # NUT has one tag for AC-3 and E-AC-3.
        **{f"c:a:{place}": codec for place, codec in enumerate(audio_codecs)},
    }


def tag_options(colour: Colour) -> dict[str, str]:
    """Options that say what samples mean."""
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
