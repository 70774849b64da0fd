"""What ffmpeg is told of a container, so that it keeps times as they are."""

from __future__ import annotations

from fractions import Fraction

from vsr.streams.encode.encoders import Options
from vsr.streams.encode.time_base import AVI
from vsr.streams.names.formats import ADDRESS_FORMATS, MATROSKA, MOV_FAMILY, NUT, WEBM

_MIN_TIMESCALE = 10_000

_QUICKTIME_LANGUAGES = {
    "cze": "ces",
    "deu": "ger",
    "ell": "gre",
    "fas": "per",
    "fre": "fra",
    "isl": "ice",
    "nld": "dut",
    "rum": "ron",
    "slo": "slk",
    "swe": "sve",
    "zho": "chi",
}
"""Of two codes of a language (ISO 639-2), the one that ffmpeg's MOV muxer has a number for."""


def language_code(suffix: str, language: str | None) -> str | None:
    """A language as a container takes it."""
    return _QUICKTIME_LANGUAGES.get(language or "", language) if suffix == ".mov" else language


def container_options(suffix: str, time_base: Fraction) -> Options:
    """Options of ffmpeg's output.

    Args:
        suffix: The container, as ``suffixes.suffix_of`` names it.
        time_base: Of the frames.
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
