"""HDR10 metadata: from a decoded frame's side data to ffmpeg's options.

Layouts are those of ``AVMasteringDisplayMetadata`` and ``AVContentLightMetadata`` (libavutil).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from av import VideoFrame

from vsr.types import Mastering

_DISPLAY = struct.Struct("<20i2i")
"""Three primaries and the white point, x and y as fractions; two luminances; two flags."""

_LIGHT = struct.Struct("<2I")
_CHROMATICITY_STEP = Fraction(1, 50_000)
_LUMINANCE_STEP = Fraction(1, 10_000)


def read_mastering(frame: VideoFrame) -> Mastering:
    """The HDR10 metadata of a frame; empty if it has none."""
    side_data: Mapping[str, Any] = frame.side_data
    display, light = (
        bytes(found) if (found := side_data.get(name)) is not None else b""
        for name in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")
    )
    chromaticities, luminance = _read_display(display)
    levels = _LIGHT.unpack_from(light) if len(light) >= _LIGHT.size else ()
    return Mastering(
        chromaticities=chromaticities,
        luminance=luminance,
        light_levels=levels if any(levels) else (),
    )


def mastering_options(mastering: Mastering) -> dict[str, str]:
    """Input options by which ffmpeg hands the metadata to the encoder and the container."""
    options: dict[str, str] = {}
    if mastering.chromaticities and mastering.luminance:
        steps = [round(value / _CHROMATICITY_STEP) for value in mastering.chromaticities]
        red, green, blue, white = (f"({x},{y})" for x, y in _pairs(steps))
        least, most = (round(value / _LUMINANCE_STEP) for value in mastering.luminance)
        options["mastering_display"] = f"G{green}B{blue}R{red}WP{white}L({most},{least})"
    if mastering.light_levels:
        options["content_light"] = ",".join(map(str, mastering.light_levels))
    return options


def _read_display(data: bytes) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    if len(data) < _DISPLAY.size:
        return (), ()
    *numbers, has_primaries, has_luminance = _DISPLAY.unpack_from(data)
    if any(denominator == 0 for _, denominator in _pairs(numbers)):
        return (), ()
    values = tuple(Fraction(*pair) for pair in _pairs(numbers))
    return values[:8] if has_primaries else (), values[8:] if has_luminance else ()


def _pairs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(numbers[::2], numbers[1::2], strict=True))
