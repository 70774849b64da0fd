"""Pixel formats of the colour conversion, and their planes in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from av import VideoFormat

Family = Literal["yuv", "gray", "rgb"]

_DEPTHS = r"(?:(9|10|12|14|16)le)?"
_YUV = re.compile(rf"yuvj?(420|422|444)p{_DEPTHS}")
_GRAY = re.compile(rf"gray{_DEPTHS}")
_PLANAR_RGB = re.compile(rf"gbrp{_DEPTHS}")
_PACKED_RGB = {"rgb24": 8, "rgb48le": 16}
_SHIFTS = {"420": (1, 1), "422": (0, 1), "444": (0, 0)}


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """A pixel format that is converted here, without swscale.

    Attributes:
        name: ffmpeg's name.
        family: Kind of samples.
        bits: Bits per sample, in the low bits of ``dtype``.
        shifts: How often chroma is halved: rows, columns.
        packed: RGB interleaved in one plane instead of planes.
    """

    name: str
    family: Family
    bits: int
    shifts: tuple[int, int] = (0, 0)
    packed: bool = False

    @property
    def dtype(self) -> torch.dtype:
        return torch.uint8 if self.bits == 8 else torch.uint16

    @property
    def full_range_by_name(self) -> bool:
        """Whether ffmpeg takes an untagged stream of this format as full range."""
        return self.family != "yuv" or self.name.startswith("yuvj")

    def plane_shapes(self, height: int, width: int) -> tuple[tuple[int, ...], ...]:
        """Shapes of the planes in memory order: (rows, columns), packed RGB (rows, columns, 3)."""
        if self.packed:
            return ((height, width, 3),)
        if self.family == "gray":
            return ((height, width),)
        rows, columns = self.shifts
        chroma = (-(-height >> rows), -(-width >> columns))
        return ((height, width), chroma, chroma)


@cache
def parse_pixel_format(name: str) -> PixelFormat | None:
    """Parse ffmpeg's name of a format; None if it is not supported."""
    if name in _PACKED_RGB:
        return PixelFormat(name=name, family="rgb", bits=_PACKED_RGB[name], packed=True)
    if match := _YUV.fullmatch(name):
        bits = int(match[2] or 8)
        return PixelFormat(name=name, family="yuv", bits=bits, shifts=_SHIFTS[match[1]])
    if match := _GRAY.fullmatch(name):
        return PixelFormat(name=name, family="gray", bits=int(match[1] or 8))
    if match := _PLANAR_RGB.fullmatch(name):
        return PixelFormat(name=name, family="rgb", bits=int(match[1] or 8))
    return None


def nearest_pixel_format(source: VideoFormat) -> PixelFormat:
    """The format to which swscale brings one that is not converted here, without loss of detail."""
    bits = max(component.bits for component in source.components)
    family = _nearest_family(source)
    depth = "" if bits <= 8 else "16le" if family == "gbrp" else f"{min(16, bits + bits % 2)}le"
    name = family + depth
    found = parse_pixel_format(name)
    assert found is not None, name
    return found


def _nearest_family(source: VideoFormat) -> str:
    # Of X, Y and Z, as digital cinema has them, swscale makes red, green and blue; no YUV is meant.
    is_xyz = source.name.startswith("xyz")
    if source.is_rgb or source.has_palette or source.is_bayer or is_xyz:
        return "gbrp"
    colours = [component for component in source.components if not component.is_alpha]
    if len(colours) < 3:
        return "gray"
    width = source.chroma_width(16)
    height = source.chroma_height(16)
    return {(8, 8): "yuv420p", (8, 16): "yuv422p"}.get((width, height), "yuv444p")
