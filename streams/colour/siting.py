"""Chroma sample location of a file: the one stream tag that PyAV lacks."""

from __future__ import annotations

import re

from vsr.streams.colour.chroma import SITINGS
from vsr.streams.ffmpeg.description import describe_stream

CENTRED_CODECS = frozenset({"mjpeg", "mpeg1video"})
"""Codecs whose standard puts chroma half-way between luma samples."""

_TAG = re.compile(rf"[(,] ?({'|'.join(SITINGS)})\)")


def find_chroma_location(source: str, index: int, codec: str) -> str | None:
    """Ask the ffmpeg program; an address, which it would open a second time, is not asked.

    Args:
        source: What the stream was opened with.
        index: Index of the stream in its container.
        codec: ffmpeg's name of the stream's codec.

    Returns:
        ffmpeg's name of the siting; None where the stream does not say.
    """
    tag = _TAG.search(describe_stream(source, index))
    return tag[1] if tag else "center" if codec in CENTRED_CODECS else None
