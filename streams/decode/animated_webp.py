"""Animated WebP for an ffmpeg that lacks a decoder of it: read by Pillow, kept as lossless video.

PyAV 19 has the decoder ``webp_anim``; this module goes once PyAV 18 is no longer supported.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av import VideoFrame
from av.codec import codecs_available
from PIL import Image, ImageSequence

from vsr.address import is_address
from vsr.errors import OpenError
from vsr.streams.decode.image_codec import UNREADABLE
from vsr.streams.names.animation import is_animated_webp
from vsr.streams.names.container import PIPE

MILLISECOND = Fraction(1, 1000)
_DECODER = "webp_anim"
_SHORTEST_MS = 1
_ALPHA, _OPAQUE = ("RGBA", "rgba", "bgra"), ("RGB", "rgb24", "bgr0")
"""Pillow's mode, ffmpeg's name of the same, and what FFV1 takes."""


def as_video(source: str) -> BytesIO | None:
    """Open an animated WebP file as a video that ffmpeg decodes.

    Args:
        source: Any source.

    Returns:
        The video, in memory; None where ffmpeg reads the source itself.

    Raises:
        OpenError: The file is damaged.
    """
    if source == PIPE or is_address(source) or _DECODER in codecs_available:
        return None
    path = Path(source)
    if not path.is_file() or not is_animated_webp(path):
        return None
    file = BytesIO()
    try:
        _convert(path, file)
    except UNREADABLE as error:
        raise OpenError(f"{source!r} cannot be read as an animated WebP ({error})") from error
    file.seek(0)
    return file


def _convert(path: Path, file: BytesIO) -> None:
    with av.open(file, "w", format="nut") as container, Image.open(path) as image:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height = image.size
        stream.pix_fmt = (_ALPHA if image.mode == "RGBA" else _OPAQUE)[-1]
        stream.time_base = stream.codec_context.time_base = MILLISECOND
        for frame in _frames(image):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _frames(image: Image.Image) -> Iterator[VideoFrame]:
    """The frames, each at the sum of the durations before it."""
    transparent, time = image.mode == "RGBA", 0
    for picture in ImageSequence.Iterator(image):
        mode, stored, encoded = _ALPHA if transparent else _OPAQUE
        frame = VideoFrame.from_ndarray(np.asarray(picture.convert(mode)), format=stored)
        frame = frame.reformat(format=encoded)
        frame.pts, frame.time_base = time, MILLISECOND
        yield frame
        time += max(_SHORTEST_MS, int(picture.info.get("duration", 0)))
