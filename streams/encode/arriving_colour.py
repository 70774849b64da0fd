"""The matrix and range by which an output is shown: not every codec and container can say them."""

from __future__ import annotations

from dataclasses import replace

import av
from av.error import FFmpegError

from vsr.streams.colour.pixel_format import PixelFormat
from vsr.streams.colour.tags import LUMA_WEIGHTS, MATRICES, complete
from vsr.streams.names.container import local_name
from vsr.types import Colour

_BT601_ONLY = frozenset({"mjpeg", "ljpeg", "libvpx"})
"""JPEG (JFIF) and VP8 (RFC 6386, section 9.2) have no other matrix; decoders look at no tag."""

_FULL_RANGE_ONLY = frozenset({"mjpeg", "ljpeg"})
"""JPEG has no range either; its encoders refuse another."""


def encoded_colour(colour: Colour, encoder: str) -> Colour:
    """Tags of the frames that an encoder is given."""
    if encoder in _BT601_ONLY:
        colour = replace(colour, matrix="smpte170m")
    return replace(colour, range="pc") if encoder in _FULL_RANGE_ONLY else colour


def shown_colour(
    path: str, colour: Colour, pixel_format: PixelFormat, size: tuple[int, int]
) -> Colour:
    """Tags of frames that are shown as they should be.

    Args:
        path: A file of one frame that was encoded with the wanted tags.
        colour: Those.
        pixel_format: Of the frames.
        size: Their rows and columns.

    Returns:
        The wanted tags, with the matrix that the file says, or that players take where it says
        none.
    """
    if pixel_format.family != "yuv":
        return colour
    try:
        with av.open(local_name(path)) as container:
            frame = next(container.decode(video=0))
    except (FFmpegError, OSError, ValueError, IndexError, StopIteration):
        return colour
    if not frame.format.name.startswith("yuv"):
        return colour
    guess = complete(Colour(), pixel_format, height=size[0], width=size[1]).matrix
    matrix = MATRICES.get(frame.colorspace) or guess
    if matrix is None or LUMA_WEIGHTS.get(matrix) in {None, LUMA_WEIGHTS.get(colour.matrix or "")}:
        return colour
    return replace(colour, matrix=matrix)
