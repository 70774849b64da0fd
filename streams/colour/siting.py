"""Chroma sample location of a file: the one stream tag that PyAV lacks."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG

from vsr.errors import VSRError
from vsr.streams.colour.chroma import SITINGS
from vsr.streams.ffmpeg.process import query_ffmpeg
from vsr.streams.names.container import local_name

CENTRED_CODECS = frozenset({"mjpeg", "mpeg1video"})
"""Codecs whose standard puts chroma half-way between luma samples."""

_TAG = re.compile(rf"[(,] ?({'|'.join(SITINGS)})\)")


def find_chroma_location(source: str, index: int, codec: str) -> str | None:
    """Ask the ffmpeg program; an address, which it would open a second time, is not asked.

    Args:
        source: What the stream was opened with.
        index: Of the stream in its container.
        codec: ffmpeg's name of the stream's codec.

    Returns:
        ffmpeg's name of the siting; None where the stream does not say.
    """
    usual = "center" if codec in CENTRED_CODECS else None
    try:
        found = Path(source).stat()
    except (OSError, ValueError):
        return usual
    if not S_ISREG(found.st_mode):
        return usual
    return _ask(source, index, (found.st_mtime_ns, found.st_size)) or usual


@lru_cache(maxsize=64)
def _ask(source: str, index: int, _version: tuple[int, int]) -> str | None:
    """The file's chroma location; cached while the file is unchanged."""
    try:
        said = query_ffmpeg("-v", "verbose", "-i", local_name(source)).stderr
    except VSRError:
        return None
    line = re.search(rf"Stream #0:{index}\b.*?: Video: (.*)", said)
    tag = _TAG.search(line[1]) if line else None
    return tag[1] if tag else None
