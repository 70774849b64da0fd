"""Containers by file name."""

from __future__ import annotations

from pathlib import Path

from vsr.streams.names.container import PIPE

MATROSKA = frozenset({".mkv", ".mka", ".mk3d"})
WEBM = frozenset({".webm"})
NUT = ".nut"
MOV_FAMILY = frozenset({".mp4", ".mov", ".m4v", ".3gp", ".3g2"})
TRANSPORT = frozenset({".ts", ".m2ts", ".mts", "srt://", "tcp://", "udp://"})

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".m4v", ".flv", ".wmv"}
    | {".mpg", ".mpeg", ".vob", ".ogv", ".3gp", ".264", ".h264", ".265", ".hevc", ".mxf", ".y4m"}
    | {".3g2", ".asf", ".divx", ".dv", ".f4v", ".ivf", ".m1v", ".m2v", ".mk3d", ".nut", ".ogm"}
    | {".rm", ".rmvb", ".gif", ".apng"}
)

PIPE_FORMAT = "matroska"
FORMAT_SUFFIXES = {"matroska": ".mkv", "mpegts": ".ts"}
"""Suffixes of containers that pipes name in ffmpeg's words; a pipe's default is Matroska."""

ADDRESS_FORMATS = {
    "rtmp://": "flv",
    "rtmps://": "flv",
    "srt://": "mpegts",
    "tcp://": "mpegts",
    "udp://": "mpegts",
}
"""Containers of addresses, which have no suffix."""

PLAYLISTS = frozenset({".m3u8"})

KEPT_SUFFIXES = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".ts", ".m4v"})
"""Containers that outputs share with their sources; others become Matroska, which holds all."""

JOURNAL_SUFFIX = ".resume"
"""Suffix of the folder beside a target that keeps what is needed to resume."""


def suffix_of(target: str, file_format: str | None = None) -> str:
    """The container's key: a file's suffix, or an address's scheme such as ``rtmp://``.

    Args:
        target: A file, an address, or ``-`` for a pipe.
        file_format: ffmpeg's name of the container of a pipe.
    """
    if target == PIPE:
        return FORMAT_SUFFIXES.get(file_format or PIPE_FORMAT, f".{file_format}")
    suffix = Path(target).suffix.lower()
    scheme = target.partition("://")[0] + "://"
    return scheme if scheme in ADDRESS_FORMATS else suffix


def pipe_options(file_format: str | None) -> dict[str, str | list[str] | None]:
    """Options that a container needs in order to be written to a pipe."""
    options: dict[str, str | list[str] | None] = {"f": file_format or PIPE_FORMAT}
    if suffix_of(PIPE, file_format) in MOV_FAMILY:
        options["movflags"] = "+frag_keyframe+delay_moov+default_base_moof"
    return options


def restored_name(source: Path) -> Path:
    """Name of the result of a video, with the suffix of a container that can be written."""
    if source.suffix.lower() in KEPT_SUFFIXES:
        return source
    return source.with_name(f"{source.name}.mkv")
