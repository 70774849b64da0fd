"""One image: from a file to RGB and back, with 8 or 16 bits a sample.

Pillow knows no colour pictures of 16 bits: those go through ffmpeg's codecs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base
from torch import Tensor

from vsr.errors import DecodeError, EncodeError, ReadError
from vsr.streams.names.container import open_input

DEEP = 16
_PNG_SIGNATURE, _PNG_DEPTH, _PNG_COLOUR = b"\x89PNG\r\n\x1a\n", 24, 25
_TIFF_BITS = 258
_TRANSPARENT_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})

SAVE_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    ".png": {"compress_level": 1},
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}
"""Near to lossless, and quick."""

LONGEST_SIDES = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}
"""Rows or columns that a format, or the library that writes it, can hold; PNG has no such limit."""

Samples = np.ndarray[Any, np.dtype[Any]]

_TURNS: Mapping[int, Callable[[Samples], Samples]] = {
    2: np.fliplr,
    3: lambda samples: np.rot90(samples, 2),
    4: np.flipud,
    5: lambda samples: samples.swapaxes(0, 1),
    6: lambda samples: np.rot90(samples, -1),
    7: lambda samples: np.rot90(samples, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""What each orientation of Exif asks for; 1 is upright."""


UNREADABLE = (
    OSError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
    SyntaxError,
    ValueError,
    struct.error,
    EOFError,
)
"""Exceptions that Pillow raises for files that are damaged, or too large for any picture."""


def decode_image(path: Path) -> tuple[Tensor, int]:
    """Decode an image.

    Returns:
        (3, H, W), float32, RGB in [0, 1], transparency dropped; and its bits per sample, 8 or 16.

    Raises:
        ReadError: It is gone, or its disk failed.
        DecodeError: It cannot be read.
    """
    try:
        with Image.open(path) as image:
            deep = _is_deep_colour(path, image)
            # Pillow turns some formats as it loads them, and then forgets their orientation.
            orientation = image.getexif().get(Base.Orientation, 1) if deep else 1
            samples = _read_deep(path) if deep else _samples(ImageOps.exif_transpose(image))
            samples = np.ascontiguousarray(_TURNS.get(orientation, np.asarray)(samples))
    except (*UNREADABLE, FFmpegError) as error:
        failed = isinstance(error, OSError) and error.errno is not None
        kind = ReadError if failed else DecodeError
        raise kind(f"'{path}' cannot be read as an image ({error})") from error
    peak = int(np.iinfo(samples.dtype).max)
    pixels = torch.from_numpy(samples).permute(2, 0, 1).float().div_(peak).contiguous()
    return pixels, 8 * samples.dtype.itemsize


def is_transparent(path: Path) -> bool:
    """Whether an image has an alpha channel or a transparent colour."""
    try:
        with Image.open(path) as image:
            return image.mode in _TRANSPARENT_MODES or "transparency" in image.info
    except UNREADABLE:
        return False


def encode_image(frame: Tensor, path: Path, *, deep: bool, options: Mapping[str, Any]) -> None:
    """Encode an image.

    Args:
        frame: (3, H, W), RGB; values are clamped to [0, 1].
        path: Path of the image; the suffix says the format.
        deep: 16 bits a sample, which only PNG holds.
        options: Options of Pillow's encoder, beyond the usual ones.

    Raises:
        EncodeError: The disk is full, or the folder is gone.
    """
    peak = (1 << 16) - 1 if deep else 255
    codes = frame.float().clamp(0, 1).mul(peak).add_(0.5).to(torch.int32).permute(1, 2, 0)
    samples = codes.cpu().numpy().astype(np.uint16 if deep else np.uint8)
    try:
        if deep:
            path.write_bytes(_encode_deep(samples))
        else:
            usual = SAVE_OPTIONS[path.suffix.lower()]
            Image.fromarray(samples).save(path, **{**usual, **options})
    except (OSError, FFmpegError) as error:
        raise EncodeError(f"'{path}' cannot be written ({error})") from error


def _is_deep_colour(path: Path, image: Image.Image) -> bool:
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_TIFF_BITS, ())
        return len(bits) > 1 and max(bits) == DEEP
    if image.format != "PNG":
        return False
    with path.open("rb") as file:
        head = file.read(_PNG_COLOUR + 1)
    coloured = bool(head[_PNG_COLOUR] & 2)
    return head.startswith(_PNG_SIGNATURE) and head[_PNG_DEPTH] == DEEP and coloured


def _read_deep(path: Path) -> Samples:
    options = {"pattern_type": "none"}
    with open_input(f"file:{path}", format="image2", options=options) as container:
        frame = next(container.decode(video=0))
        return frame.reformat(format="rgb48le").to_ndarray()


def _encode_deep(samples: Samples) -> bytes:
    context = av.CodecContext.create("png", "w")
    assert isinstance(context, VideoCodecContext)
    context.height, context.width = samples.shape[:2]
    context.pix_fmt = "rgb48be"
    context.options = {"compression_level": "1", "pred": "up"}
    frame = av.VideoFrame.from_ndarray(samples, format="rgb48le").reformat(format="rgb48be")
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def _samples(image: Image.Image) -> Samples:
    if image.mode.startswith("I;16"):
        grey = np.array(image, np.uint16)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))
