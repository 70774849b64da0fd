"""Pictures that move: animated WebP and PNG files, which are videos, and GIF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PNG = b"\x89PNG\r\n\x1a\n"
_WEBP_HEADER = 12
_WEBP_FRAME, _WEBP_ANIMATION = b"ANMF", b"ANIM"
_PNG_ANIMATION, _PNG_PIXELS = b"acTL", b"IDAT"


def is_animated(path: Path) -> bool:
    """Whether a picture file holds a moving picture; every GIF counts as one."""
    suffix = path.suffix.lower()
    if suffix in {".gif", ".apng"}:
        return path.is_file()
    try:
        if suffix == ".webp":
            return _WEBP_ANIMATION in _webp_chunks(path)
        return suffix == ".png" and _PNG_ANIMATION in _png_header(path)
    except OSError:
        return False


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP file that moves."""
    return path.suffix.lower() == ".webp" and is_animated(path)


def count_webp_frames(path: Path) -> int:
    """Frames of a WebP file; 1 where it does not move.

    Raises:
        OSError: The file cannot be read.
    """
    return max(1, sum(kind == _WEBP_FRAME for kind in _webp_chunks(path)))


def _webp_chunks(path: Path) -> Iterator[bytes]:
    """Types of the chunks of a WebP file."""
    with path.open("rb") as file:
        head = file.read(_WEBP_HEADER)
        if not (head.startswith(b"RIFF") and head.endswith(b"WEBP")):
            return
        while len(header := file.read(8)) == 8:
            length = int.from_bytes(header[4:], "little")
            yield header[:4]
            _skip(file, length + length % 2)


def _png_header(path: Path) -> Iterator[bytes]:
    """Types of the chunks of a PNG file in front of its pixels."""
    with path.open("rb") as file:
        if file.read(len(_PNG)) != _PNG:
            return
        while len(header := file.read(8)) == 8 and header[4:] != _PNG_PIXELS:
            yield header[4:]
            _skip(file, int.from_bytes(header[:4], "big") + 4)


def _skip(file: BinaryIO, length: int) -> None:
    file.seek(length, 1)
