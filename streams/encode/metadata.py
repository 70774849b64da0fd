"""Metadata of files and tracks, and which containers can store it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from av.error import FFmpegError
from av.stream import Stream

from vsr.streams.decode.probe import dispositions
from vsr.streams.names.container import local_name, open_input
from vsr.streams.names.formats import MATROSKA, MOV_FAMILY, NUT, WEBM

_WINDOWS_MEDIA = frozenset({".asf", ".wmv"})
_FLASH = frozenset({".flv", "rtmp://", "rtmps://"})
_PROGRAM = frozenset({".mpg", ".mpeg", ".vob"})

_CHAPTERS = MATROSKA | WEBM | MOV_FAMILY | _WINDOWS_MEDIA | {NUT}
_TAGS = MATROSKA | WEBM | _WINDOWS_MEDIA | _FLASH | {".avi", ".m4v", ".mov", ".mp4", ".ogv", NUT}
_NO_LANGUAGES = _FLASH | _PROGRAM | {".avi"}
_FLAGS = MATROSKA | {".mp4", NUT}
_TRACK_TITLES = MATROSKA | WEBM | {".avi", ".m4v", ".mov", ".mp4", ".ogv", NUT}
_TIME_CODES = MATROSKA | WEBM | {".m4v", ".mov", ".mp4"}

_TECHNICAL = frozenset(
    {"encoder", "major_brand", "minor_version", "compatible_brands", "creation_time", "software"}
    | {"timecode", "duration", "service_name", "service_provider", "date"}
)
TAGS = "title and other tags"

_OF_TRACKS = frozenset(
    {"handler_name", "vendor_id", "language", "title", "alpha_mode", "source_id", "variant_bitrate"}
    | {"bps", "number_of_frames", "number_of_bytes", "_statistics_tags", "rotate", "filename"}
    | {"_statistics_writing_app", "_statistics_writing_date_utc", "mimetype"}
)
"""Tags of a track that muxers write themselves or store as fields, or that are no longer true."""

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
"""Language codes (ISO 639-2) that ffmpeg's MOV muxer knows, by their synonyms."""

LEAST_FLAGS = frozenset({"default", "dub", "original"})
_UNDETERMINED = frozenset({None, "und"})


def language_code(suffix: str, language: str | None) -> str | None:
    """A language as a container takes it."""
    return _QUICKTIME_LANGUAGES.get(language or "", language) if suffix == ".mov" else language


def read_tags(source: str) -> dict[str, str]:
    """Tags of a file as a whole, by their names in lower case; none of one that cannot be read."""
    try:
        with open_input(local_name(source)) as container:
            return {name.lower(): value for name, value in container.metadata.items()}
    except (FFmpegError, OSError, ValueError):
        return {}


def lost_tags(source: str, output: str, index: int, reported: Sequence[str]) -> str | None:
    """A sentence about tags of a file that its output lacks; None if it has all.

    Args:
        source: A file.
        output: The output made from it.
        index: Index of the video stream in the source.
        reported: Earlier notes; what they name is not named again.
    """
    try:
        with open_input(local_name(source)) as one, open_input(local_name(output)) as two:
            lost = _missing(one.metadata, two.metadata, _TECHNICAL - {"creation_time"})
            picture, copy = one.streams[index].metadata, two.streams.video[0].metadata
            lost_of_track = _missing(picture, copy, _TECHNICAL | _OF_TRACKS | {"creation_time"})
    except (FFmpegError, OSError, ValueError, IndexError):
        return None
    names = sorted(set(lost) | set(lost_of_track))
    if not names or any(TAGS in sentence for sentence in reported):
        return None
    return f"'{output}' does not hold these tags of the source: {', '.join(names)}"


def _missing(
    before: Mapping[str, str], after: Mapping[str, str], beside: AbstractSet[str]
) -> list[str]:
    there = {name.lower() for name in after}
    names = {name.lower() for name, value in before.items() if value}
    return sorted(name for name in names - there - beside if name.partition("-")[0] not in there)


def lost_labels(source: str, suffix: str, kept: Sequence[int]) -> list[str]:
    """Name the metadata of a file that a container cannot store.

    Args:
        source: A file.
        suffix: The container, as ``suffixes.suffix_of`` names it.
        kept: The streams of the file that the container will hold.
    """
    try:
        with open_input(local_name(source)) as container:
            tracks = [stream for stream in container.streams if stream.index in kept]
            tags = {key.lower() for key in container.metadata} - _TECHNICAL
            says = {
                "chapters": suffix not in _CHAPTERS and bool(container.chapters()),
                TAGS: suffix not in _TAGS and bool(tags),
                "languages": suffix in _NO_LANGUAGES and any(map(_has_language, tracks)),
                "flags of tracks": suffix not in _FLAGS and any(map(_has_flags, tracks)),
                "titles of tracks": suffix not in _TRACK_TITLES and any(map(_has_title, tracks)),
                "time code": suffix not in _TIME_CODES and any(map(_has_time_code, tracks)),
            }
    except (FFmpegError, OSError, ValueError):
        return []
    return [what for what, lost in says.items() if lost]


def _has_language(stream: Stream) -> bool:
    return stream.type in {"audio", "subtitle"} and stream.language not in _UNDETERMINED


def _has_flags(stream: Stream) -> bool:
    given = stream.type in {"audio", "subtitle"}
    return given and bool(set(dispositions(stream)) - LEAST_FLAGS)


def _has_title(stream: Stream) -> bool:
    return "title" in {key.lower() for key in stream.metadata}


def _has_time_code(stream: Stream) -> bool:
    return stream.type == "video" and "timecode" in {key.lower() for key in stream.metadata}
