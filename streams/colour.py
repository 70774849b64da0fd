"""Planar YUV, gray and RGB samples to RGB in [0, 1] and back, on whatever device the tensors are.

Equations: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance). The transfer curve is left
alone: PQ stays PQ, HLG stays HLG. No matrix products, whose precision others may have lowered.

On a CPU this is most of what the pipeline costs beside decoder, network and encoder. Passes over
memory are what costs: scale and offset ride along with the addition that has to be made anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

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
from vsr.streams.pixel_format import PixelFormat
from vsr.streams.quantisation import Levels, find_levels, find_weights
from vsr.types import Colour

STRIP_PIXELS = 180 * 1920
"""Pixels converted at a time on a CPU: with what lies between they fill some MiB of its cache."""


def to_rgb(
    planes: Sequence[Tensor],
    pixel_format: PixelFormat,
    colour: Colour,
    *,
    headroom: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Convert decoded samples of frames of one size.

    Args:
        planes: One tensor (T, rows, columns) per plane in memory order, (T, rows, columns, 3) for
            packed RGB; dtype as the pixel format says.
        pixel_format: What the planes hold.
        colour: Complete tags, see ``colour_tags.complete``.
        headroom: Keep what lies beyond black and white, instead of clamping to [0, 1].
        out: Where to put the result, contiguous; None for new memory on the planes' device.

    Returns:
        (T, 3, H, W), float32, RGB.
    """
    height, width = planes[0].shape[1:3]
    if out is None:
        shape = (len(planes[0]), 3, height, width)
        out = torch.empty(shape, dtype=torch.float32, device=planes[0].device)
    for index, frame in enumerate(out):
        stored = [plane[index] for plane in planes]
        for rows in _strips(height, width, out.device):
            strip = frame[:, rows.start : rows.stop]
            _read_strip(stored, rows, strip, pixel_format, colour)
            if not headroom:
                strip.clamp_(0, 1)
    return out


def from_rgb(
    frames: Tensor, pixel_format: PixelFormat, colour: Colour, *, out: Tensor | None = None
) -> Tensor:
    """Convert restored frames to the samples of raw video frames.

    Args:
        frames: (T, 3, H, W), RGB, any floating dtype. What lies beyond [0, 1] is kept as far as the
            format has codes for it.
        pixel_format: What to produce.
        colour: Complete tags, see ``colour_tags.complete``.
        out: Where to put the result, contiguous; None for new memory on the frames' device.

    Returns:
        (T, samples of one frame), dtype of the pixel format, planes in memory order without
        padding.
    """
    height, width = frames.shape[2:]
    shapes = pixel_format.plane_shapes(height, width)
    if out is None:
        shape = (len(frames), sum(map(prod, shapes)))
        out = torch.empty(shape, dtype=pixel_format.dtype, device=frames.device)
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
    levels = find_levels(pixel_format, colour)
    if pixel_format.family == "rgb":
        _join_rgb([plane[rows.start : rows.stop] for plane in planes], rgb, pixel_format)
        rgb.mul_(1 / levels.peak)
        return
    stored = planes[0][rows.start : rows.stop].float()
    luma = _scaled(stored, 1 / levels.luma, -levels.black / levels.luma)
    if pixel_format.family == "gray":
        rgb.copy_(luma)
        return
    chroma = _read_chroma(planes, rows, pixel_format, colour)
    _add_chroma(luma, chroma, rgb, levels, colour)


def _read_chroma(
    planes: list[Tensor], rows: range, pixel_format: PixelFormat, colour: Colour
) -> Tensor:
    """Both chroma planes at the size of luma, in code values, grey being 0: (2, rows, W)."""
    siting = _siting(colour)
    halved, (height, width) = pixel_format.shifts[0], planes[0].shape
    halo = HALO_ROWS * halved
    first, last = max(0, rows.start - halo), min(rows.stop + halo, height)
    stored = [plane[first >> halved : -(-last >> halved)] for plane in planes[1:]]
    chroma = torch.empty((2, *stored[0].shape), dtype=torch.float32, device=stored[0].device)
    for target, plane in zip(chroma, stored, strict=True):
        target.copy_(plane)
    chroma.sub_(find_levels(pixel_format, colour).grey)
    if halved:
        doubled = double_rows(chroma, last - first, cosited=siting.rows)
        chroma = doubled[:, rows.start - first : rows.stop - first]
    if pixel_format.shifts[1]:
        return double_columns(chroma, width, cosited=siting.columns)
    return chroma


def _add_chroma(luma: Tensor, chroma: Tensor, rgb: Tensor, levels: Levels, colour: Colour) -> None:
    weights, (cb, cr) = find_weights(colour), chroma
    to_red, to_blue = weights.red_span / levels.chroma, weights.blue_span / levels.chroma
    torch.add(luma, cr, alpha=to_red, out=rgb[0])
    torch.add(luma, cb, alpha=-to_blue * weights.blue / weights.green, out=rgb[1])
    rgb[1].add_(cr, alpha=-to_red * weights.red / weights.green)
    torch.add(luma, cb, alpha=to_blue, out=rgb[2])


def _write_strip(
    frame: Tensor, rows: range, planes: list[Tensor], pixel_format: PixelFormat, colour: Colour
) -> None:
    """Convert rows of (3, H, W) into one frame's planes."""
    levels = find_levels(pixel_format, colour)
    if pixel_format.family == "rgb":
        inside = [plane[rows.start : rows.stop] for plane in planes]
        codes = _scaled(frame[:, rows.start : rows.stop].float(), levels.peak, 0.5)
        _split_rgb(codes, inside, pixel_format, levels)
        return
    halo = HALO_ROWS if pixel_format.shifts[0] and _siting(colour).rows else 0
    first = max(0, rows.start - halo)
    rgb = frame[:, first : rows.stop + halo].float()
    luma = _make_luma(rgb, levels, colour)
    if pixel_format.family == "yuv":
        chroma = _make_chroma(rgb, luma, pixel_format, colour)
        above, top = ((n >> pixel_format.shifts[0]) for n in (rows.start - first, rows.start))
        count = len(range(rows.start, rows.stop, 1 + pixel_format.shifts[0]))
        for plane, codes in zip(planes[1:], chroma, strict=True):
            _store(codes[above : above + count], plane[top : top + count], levels)
    codes = luma[rows.start - first :][: len(rows)]
    _store(codes, planes[0][rows.start : rows.stop], levels)


def _make_luma(rgb: Tensor, levels: Levels, colour: Colour) -> Tensor:
    """Numbers whose whole part is luma's code: (rows, W)."""
    red, green, blue = (weight * levels.luma for weight in find_weights(colour))
    luma = _scaled(rgb[0], red, levels.black + 0.5)
    return luma.add_(rgb[1], alpha=green).add_(rgb[2], alpha=blue)


def _make_chroma(
    rgb: Tensor, luma: Tensor, pixel_format: PixelFormat, colour: Colour
) -> tuple[Tensor, Tensor]:
    """Numbers whose whole part is the code of Cb and of Cr, at their own size."""
    levels, siting = find_levels(pixel_format, colour), _siting(colour)
    differences = torch.sub(rgb[::2], luma, alpha=1 / levels.luma)
    if pixel_format.shifts[0]:
        differences = halve_rows(differences, cosited=siting.rows)
    if pixel_format.shifts[1]:
        differences = halve_columns(differences, cosited=siting.columns)
    red, blue = differences
    lifted = (levels.black + 0.5) / levels.luma
    weights = find_weights(colour)
    to_cb, to_cr = levels.chroma / weights.blue_span, levels.chroma / weights.red_span
    zero = levels.grey + 0.5
    return (
        _scaled(blue, to_cb, zero + to_cb * lifted),
        _scaled(red, to_cr, zero + to_cr * lifted),
    )


def _scaled(values: Tensor, scale: float, offset: float) -> Tensor:
    """``scale * values + offset`` in one pass; new memory."""
    return torch.rsub(values, offset, alpha=-scale)


def _store(codes: Tensor, plane: Tensor, levels: Levels) -> None:
    """Clamp, which changes ``codes``, and cut off the fraction."""
    codes.clamp_(0, levels.peak)
    # The step by way of 16 bits is four times as fast as torch's own conversion to 8.
    plane.copy_(codes.to(torch.int16) if plane.dtype == torch.uint8 else codes)


def _cut(samples: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Views of one frame's samples, plane by plane."""
    ends = list(accumulate(map(prod, shapes)))
    starts = [0, *ends]
    return [samples[a:b].view(s) for a, b, s in zip(starts, ends, shapes, strict=False)]


def _siting(colour: Colour) -> Siting:
    return SITINGS[colour.chroma_location or "left"]


def _join_rgb(planes: list[Tensor], rgb: Tensor, pixel_format: PixelFormat) -> None:
    if pixel_format.packed:
        rgb.copy_(planes[0].permute(2, 0, 1))
        return
    for target, plane in zip((rgb[1], rgb[2], rgb[0]), planes, strict=True):
        target.copy_(plane)


def _split_rgb(
    codes: Tensor, planes: list[Tensor], pixel_format: PixelFormat, levels: Levels
) -> None:
    if pixel_format.packed:
        _store(codes.permute(1, 2, 0), planes[0], levels)
        return
    for plane, values in zip(planes, (codes[1], codes[2], codes[0]), strict=True):
        _store(values, plane, levels)
