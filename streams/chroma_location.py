"""Where a file's chroma samples lie: the one tag of a stream that PyAV does not hand over."""

from __future__ import annotations

import re
from pathlib import Path

from vsr.errors import VSRError
from vsr.streams.chroma import SITINGS
from vsr.streams.container import local_name
from vsr.streams.ffmpeg import query_ffmpeg

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
    if not Path(source).is_file():
        return usual
    try:
        said = query_ffmpeg("-v", "verbose", "-i", local_name(source)).stderr
    except VSRError:
        return usual
    line = re.search(rf"Stream #0:{index}\b.*?: Video: (.*)", said)
    tag = _TAG.search(line[1]) if line else None
    return tag[1] if tag else usual
