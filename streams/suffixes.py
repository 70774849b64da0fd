"""Which container an output's name means."""

from __future__ import annotations

from pathlib import Path

MATROSKA = frozenset({".mkv", ".mka", ".mk3d"})
WEBM = frozenset({".webm"})
MOV_FAMILY = frozenset({".mp4", ".mov", ".m4v", ".3gp", ".3g2"})
TRANSPORT = frozenset({".ts", ".m2ts", ".mts", "srt://", "tcp://", "udp://"})

ADDRESS_FORMATS = {
    "rtmp://": "flv",
    "rtmps://": "flv",
    "srt://": "mpegts",
    "tcp://": "mpegts",
    "udp://": "mpegts",
}
"""Containers of addresses, which have no suffix."""


def suffix_of(target: str) -> str:
    """What names the container: a file's suffix, or an address's scheme such as ``rtmp://``."""
    suffix = Path(target).suffix.lower()
    scheme = target.partition("://")[0] + "://"
    return scheme if scheme in ADDRESS_FORMATS else suffix
