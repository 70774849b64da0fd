"""Planar YUV, gray and RGB samples to RGB in [0, 1] and back, on whatever device the tensors are.

Equations: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance); quantisation as in
BT.2100-2, table 9, for 8 to 16 bits. The transfer curve is left alone: PQ stays PQ, HLG stays HLG.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from vsr.streams.chroma import (
    HALO_ROWS,
    SITINGS,
    Siting,
    double_columns,
    double_rows,
    halve_columns,
    halve_rows,
)
from vsr.streams.colour_tags import LUMA_WEIGHTS
from vsr.streams.pixel_format import PixelFormat
from vsr.types import Colour

STRIP_PIXELS = 128 * 1920
"""Pixels converted at a time on a CPU: with what lies between they fill some MiB."""


class _Levels(NamedTuple):
    """Code values: black, luma's and chroma's span from 0 to 1, chroma's zero, the largest code."""

    black: float
    luma: float
    chroma: float
    grey: float
    peak: float


def to_rgb(
    planes: Sequence[Tensor], pixel_format: PixelFormat, colour: Colour, *, headroom: bool = False
) -> Tensor:
    """Convert decoded samples of frames of one size.

    Args:
        planes: One tensor (T, rows, columns) per plane in memory order, (T, rows, columns, 3) for
            packed RGB; dtype as the pixel format says.
        pixel_format: What the planes hold.
        colour: Complete tags, see ``colour_tags.complete``.
        headroom: Keep what lies beyond black and white, instead of clamping to [0, 1].

    Returns:
        (T, 3, H, W), float32, RGB, new memory on the planes' device.
    """
    height, width = planes[0].shape[1:3]
    out = planes[0].new_empty((len(planes[0]), 3, height, width), dtype=torch.float32)
    for index, frame in enumerate(out):
        stored = [plane[index] for plane in planes]
        for rows in _strips(height, width, out.device):
            strip = frame[:, rows.start : rows.stop]
            _read_strip(stored, rows, strip, pixel_format, colour)
            if not headroom:
                strip.clamp_(0, 1)
    return out


def from_rgb(frames: Tensor, pixel_format: PixelFormat, colour: Colour) -> Tensor:
    """Convert restored frames to the samples of a raw video frame.

    Args:
        frames: (T, 3, H, W), RGB, any floating dtype. What lies beyond [0, 1] is kept as far as the
            format has codes for it.
        pixel_format: What to produce.
        colour: Complete tags, see ``colour_tags.complete``.

    Returns:
        (T, samples of one frame), dtype of the pixel format, planes in memory order without
        padding, on the frames' device.
    """
    height, width = frames.shape[2:]
    shapes = pixel_format.plane_shapes(height, width)
    out = torch.empty(
        (len(frames), sum(map(prod, shapes))), dtype=pixel_format.dtype, device=frames.device
    )
    for frame, samples in zip(frames, out, strict=True):
        planes = _cut(samples, shapes)
        for rows in _strips(height, width, frames.device):
            _write_strip(frame, rows, planes, pixel_format, colour)
    return out


def _strips(height: int, width: int, device: torch.device) -> list[range]:
    """Rows to convert at a time: on a CPU few enough that all stays in its cache."""
    rows = height if device.type != "cpu" else max(2, STRIP_PIXELS // width // 2 * 2)
    return [range(top, min(top + rows, height)) for top in range(0, height, rows)]


def _read_strip(
    planes: list[Tensor], rows: range, rgb: Tensor, pixel_format: PixelFormat, colour: Colour
) -> None:
    """Convert rows of one frame's planes into (3, rows, W)."""
    levels = _levels(pixel_format, colour)
    if pixel_format.family == "rgb":
        _join_rgb([plane[rows.start : rows.stop] for plane in planes], rgb, pixel_format)
        rgb.div_(levels.peak)
        return
    luma = planes[0][rows.start : rows.stop].float().sub_(levels.black).mul_(1 / levels.luma)
    if pixel_format.family == "gray":
        rgb.copy_(luma)
        return
    _add_chroma(luma, _read_chroma(planes, rows, pixel_format, colour), rgb, colour)


def _read_chroma(
    planes: list[Tensor], rows: range, pixel_format: PixelFormat, colour: Colour
) -> Tensor:
    """Both chroma planes at the size of luma: (2, rows, W)."""
    levels, siting = _levels(pixel_format, colour), _siting(colour)
    halved, (height, width) = pixel_format.shifts[0], planes[0].shape
    halo = HALO_ROWS * halved
    first, last = max(0, rows.start - halo), min(rows.stop + halo, height)
    inside = slice(first >> halved, -(-last >> halved))
    chroma = torch.stack([plane[inside] for plane in planes[1:]]).float()
    chroma.sub_(levels.grey).mul_(1 / levels.chroma)
    if halved:
        doubled = double_rows(chroma, last - first, cosited=siting.rows)
        chroma = doubled[:, rows.start - first : rows.stop - first]
    if pixel_format.shifts[1]:
        return double_columns(chroma, width, cosited=siting.columns)
    return chroma


def _write_strip(
    frame: Tensor, rows: range, planes: list[Tensor], pixel_format: PixelFormat, colour: Colour
) -> None:
    """Convert rows of (3, H, W) into one frame's planes."""
    levels = _levels(pixel_format, colour)
    rgb = frame[:, rows.start : rows.stop].float()
    inside = [plane[rows.start : rows.stop] for plane in planes]
    if pixel_format.family == "rgb":
        _split_rgb(_codes(rgb * levels.peak, 0.5, levels), inside, pixel_format)
        return
    red, green, blue = (weight * levels.luma for weight in _weights(colour))
    _store(_codes(_mix(rgb, (red, green, blue)), levels.black + 0.5, levels), inside[0])
    if pixel_format.family == "yuv":
        chroma = _make_chroma(frame, rows, pixel_format, colour)
        top = rows.start >> pixel_format.shifts[0]
        for plane, values in zip(planes[1:], chroma, strict=True):
            codes = _codes(values, levels.grey + 0.5, levels)
            _store(codes, plane[top : top + len(codes)])


def _make_chroma(frame: Tensor, rows: range, pixel_format: PixelFormat, colour: Colour) -> Tensor:
    """Cb and Cr of rows of (3, H, W) at their own size, grey being 0: (2, rows, columns)."""
    levels, siting = _levels(pixel_format, colour), _siting(colour)
    halo = HALO_ROWS if pixel_format.shifts[0] and siting.rows else 0
    first = max(0, rows.start - halo)
    rgb = frame[:, first : rows.stop + halo].float()
    if pixel_format.shifts[0]:
        top = (rows.start - first) // 2
        rgb = halve_rows(rgb, cosited=siting.rows)[:, top : top + (len(rows) + 1) // 2]
    chroma = torch.stack([_mix(rgb, w) for w in _chroma_weights(colour, levels.chroma)])
    return halve_columns(chroma, cosited=siting.columns) if pixel_format.shifts[1] else chroma


def _mix(rgb: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Weighted sum of three planes; no matrix product, whose precision others may have lowered."""
    red, green, blue = weights
    return rgb[0].mul(red).add_(rgb[1], alpha=green).add_(rgb[2], alpha=blue)


def _codes(values: Tensor, offset: float, levels: _Levels) -> Tensor:
    """Values, which are overwritten, as numbers whose whole part is the code."""
    return values.add_(offset).clamp_(0, levels.peak)


def _store(codes: Tensor, plane: Tensor) -> None:
    # The step by way of 16 bits is four times as fast as torch's own conversion to 8.
    plane.copy_(codes.to(torch.int16) if plane.dtype == torch.uint8 else codes)


def _cut(samples: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Views of one frame's samples, plane by plane."""
    ends = list(accumulate(map(prod, shapes)))
    starts = [0, *ends]
    return [samples[a:b].view(s) for a, b, s in zip(starts, ends, shapes, strict=False)]


def _levels(pixel_format: PixelFormat, colour: Colour) -> _Levels:
    peak = float((1 << pixel_format.bits) - 1)
    step = float(1 << (pixel_format.bits - 8))
    if colour.range == "pc" or pixel_format.family == "rgb":
        return _Levels(0, peak, peak, 128 * step, peak)
    return _Levels(16 * step, 219 * step, 224 * step, 128 * step, peak)


def _weights(colour: Colour) -> tuple[float, float, float]:
    red, blue = LUMA_WEIGHTS[colour.matrix or "bt709"]
    return red, 1 - red - blue, blue


def _chroma_weights(colour: Colour, scale: float) -> list[tuple[float, float, float]]:
    """What red, green and blue add to Cb and to Cr."""
    red, green, blue = _weights(colour)
    to_cb, to_cr = scale / (2 * (1 - blue)), scale / (2 * (1 - red))
    return [
        (-red * to_cb, -green * to_cb, (1 - blue) * to_cb),
        ((1 - red) * to_cr, -green * to_cr, -blue * to_cr),
    ]


def _siting(colour: Colour) -> Siting:
    return SITINGS[colour.chroma_location or "left"]


def _add_chroma(luma: Tensor, chroma: Tensor, rgb: Tensor, colour: Colour) -> None:
    red, green, blue = _weights(colour)
    to_red, to_blue = 2 * (1 - red), 2 * (1 - blue)
    cb, cr = chroma
    torch.add(luma, cr, alpha=to_red, out=rgb[0])
    torch.add(luma, cb, alpha=-to_blue * blue / green, out=rgb[1])
    rgb[1].add_(cr, alpha=-to_red * red / green)
    torch.add(luma, cb, alpha=to_blue, out=rgb[2])


def _join_rgb(planes: list[Tensor], rgb: Tensor, pixel_format: PixelFormat) -> None:
    if pixel_format.packed:
        rgb.copy_(planes[0].permute(2, 0, 1))
        return
    for target, plane in zip((rgb[1], rgb[2], rgb[0]), planes, strict=True):
        target.copy_(plane)


def _split_rgb(codes: Tensor, planes: list[Tensor], pixel_format: PixelFormat) -> None:
    if pixel_format.packed:
        _store(codes.permute(1, 2, 0), planes[0])
        return
    for plane, values in zip(planes, (codes[1], codes[2], codes[0]), strict=True):
        _store(values, plane)
