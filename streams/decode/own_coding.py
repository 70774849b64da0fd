"""Whether a file's own coding can have taken detail from its frames."""

from __future__ import annotations

from pathlib import Path

from vsr.address import names_file
from vsr.streams.names.container import open_container
from vsr.streams.names.image_sequence import list_images, names_images
from vsr.types import StreamInfo

PLENTY_BITS = 1.5
"""Bits per pixel that hardly any detail is lost with: ProRes 422 has 2.4, Blu-ray 0.6."""

LOSSLESS_IMAGES = frozenset({".png", ".bmp", ".tif", ".tiff"})


def keeps_detail(source: str, info: StreamInfo) -> bool:
    """Whether a source is coded without loss, or with so many bits that it hardly matters.

    Earlier encodings of its frames are not considered.

    Args:
        source: A file, a folder of images or a pattern of their names.
        info: Its description.

    Raises:
        OpenError: The source cannot be opened.
    """
    if names_images(source):
        return {path.suffix.lower() for path in list_images(source)} <= LOSSLESS_IMAGES
    container, stream = open_container(source)
    with container:
        codec = stream.codec_context.codec
        return (codec.lossless and not codec.lossy) or _bits_per_pixel(source, info) > PLENTY_BITS


def _bits_per_pixel(source: str, info: StreamInfo) -> float:
    """Bits per pixel of the whole file, sound included; 0 where its length is not known."""
    if not info.num_frames or not names_file(source):
        return 0.0
    return 8 * Path(source).stat().st_size / (info.num_frames * info.height * info.width)
