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

from vsr.streams.chroma import SITINGS, Siting, downsample, upsample
from vsr.streams.colour_tags import LUMA_WEIGHTS
from vsr.streams.pixel_format import PixelFormat
from vsr.types import Colour


class _Levels(NamedTuple):
    """Code values: black, luma's and chroma's span from 0 to 1, chroma's zero, the largest code."""

    black: float
    luma: float
    chroma: float
    grey: float
    peak: float


def to_rgb(planes: Sequence[Tensor], pixel_format: PixelFormat, colour: Colour) -> Tensor:
    """Convert decoded samples of frames of one size.

    Args:
        planes: One tensor (T, rows, columns) per plane in memory order, (T, rows, columns, 3) for
            packed RGB; dtype as the pixel format says.
        pixel_format: What the planes hold.
        colour: Complete tags, see ``colour_tags.complete``.

    Returns:
        (T, 3, H, W), float32, RGB clamped to [0, 1], new memory on the planes' device.
    """
    height, width = planes[0].shape[1:3]
    out = planes[0].new_empty((len(planes[0]), 3, height, width), dtype=torch.float32)
    # One frame at a time: intermediate results stay in the cache, which is twice as fast on a CPU.
    for index, rgb in enumerate(out):
        _read_planes([plane[index] for plane in planes], rgb, pixel_format, colour)
    return out.clamp_(0, 1)


def from_rgb(frames: Tensor, pixel_format: PixelFormat, colour: Colour) -> Tensor:
    """Convert restored frames to the samples of a raw video frame.

    Args:
        frames: (T, 3, H, W), RGB, any floating dtype; values are clamped to [0, 1].
        pixel_format: What to produce.
        colour: Complete tags, see ``colour_tags.complete``.

    Returns:
        (T, samples of one frame), dtype of the pixel format, planes in memory order without
        padding, on the frames' device.
    """
    shapes = pixel_format.plane_shapes(frames.shape[2], frames.shape[3])
    out = torch.empty(
        (len(frames), sum(map(prod, shapes))), dtype=pixel_format.dtype, device=frames.device
    )
    for frame, samples in zip(frames, out, strict=True):
        rgb = frame.float().clamp(0, 1)
        _write_planes(rgb, _cut(samples, shapes), pixel_format, colour)
    return out


def _read_planes(
    planes: list[Tensor], rgb: Tensor, pixel_format: PixelFormat, colour: Colour
) -> None:
    """Convert one frame's planes into (3, H, W)."""
    levels = _levels(pixel_format, colour)
    if pixel_format.family == "rgb":
        _join_rgb(planes, rgb, pixel_format)
        rgb.div_(levels.peak)
        return
    luma = planes[0].float().sub_(levels.black).mul_(1 / levels.luma)
    if pixel_format.family == "gray":
        rgb.copy_(luma)
        return
    chroma = torch.stack(planes[1:]).float().sub_(levels.grey).mul_(1 / levels.chroma)
    size = (luma.shape[0], luma.shape[1])
    chroma = upsample(chroma.unsqueeze(0), pixel_format.shifts, _siting(colour), size)
    _add_chroma(luma, chroma[0], rgb, colour)


def _write_planes(
    rgb: Tensor, planes: list[Tensor], pixel_format: PixelFormat, colour: Colour
) -> None:
    """Convert (3, H, W), which is overwritten, into one frame's planes."""
    levels = _levels(pixel_format, colour)
    if pixel_format.family == "rgb":
        _split_rgb(rgb.mul_(levels.peak).add_(0.5), planes, pixel_format)
        return
    red, green, blue = _weights(colour)
    scale = levels.luma
    planes[0].copy_(_mix(rgb, (red * scale, green * scale, blue * scale), levels.black + 0.5))
    if pixel_format.family == "gray":
        return
    small = downsample(rgb.unsqueeze(0), pixel_format.shifts, _siting(colour))[0]
    for plane, weights in zip(planes[1:], _chroma_weights(colour, levels.chroma), strict=True):
        plane.copy_(_mix(small, weights, levels.grey + 0.5).clamp_(max=levels.peak + 0.5))


def _mix(rgb: Tensor, weights: tuple[float, float, float], offset: float) -> Tensor:
    """Weighted sum of three planes; no matrix product, whose precision others may have lowered."""
    red, green, blue = weights
    return rgb[0].mul(red).add_(rgb[1], alpha=green).add_(rgb[2], alpha=blue).add_(offset)


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


def _split_rgb(rgb: Tensor, planes: list[Tensor], pixel_format: PixelFormat) -> None:
    if pixel_format.packed:
        planes[0].copy_(rgb.permute(1, 2, 0))
        return
    for plane, values in zip(planes, (rgb[1], rgb[2], rgb[0]), strict=True):
        plane.copy_(values)
