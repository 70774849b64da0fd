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

from vsr.streams.chroma import SITINGS, downsample, upsample
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
    levels = _levels(pixel_format, colour)
    if pixel_format.family == "rgb":
        return _join_rgb(planes, pixel_format).div_(levels.peak)
    luma = planes[0].float().sub_(levels.black).mul_(1 / levels.luma)
    if pixel_format.family == "gray":
        return luma.clamp_(0, 1).unsqueeze(1).repeat(1, 3, 1, 1)
    chroma = torch.stack([planes[1], planes[2]], 1).float()
    chroma.sub_(levels.grey).mul_(1 / levels.chroma)
    siting = SITINGS[colour.chroma_location or "left"]
    chroma = upsample(chroma, pixel_format.shifts, siting, (luma.shape[1], luma.shape[2]))
    return _add_chroma(luma, chroma[:, 0], chroma[:, 1], _weights(colour))


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
    # One frame at a time: intermediate results stay in the cache, which is twice as fast on a CPU.
    for frame, samples in zip(frames, out, strict=True):
        rgb = frame.unsqueeze(0).float().clamp(0, 1)
        _write_planes(rgb, _cut(samples, shapes), pixel_format, colour)
    return out


def _write_planes(
    rgb: Tensor, planes: list[Tensor], pixel_format: PixelFormat, colour: Colour
) -> None:
    levels = _levels(pixel_format, colour)
    if pixel_format.family == "rgb":
        _split_rgb(rgb.mul_(levels.peak).add_(0.5), planes, pixel_format)
        return
    red, green, blue = _weights(colour)
    weights = rgb.new_tensor([[red, green, blue]]).mul_(levels.luma)
    luma = torch.matmul(weights, rgb.flatten(2)).add_(levels.black + 0.5)
    planes[0].copy_(luma.view(planes[0].shape))
    if pixel_format.family == "gray":
        return
    siting = SITINGS[colour.chroma_location or "left"]
    small = downsample(rgb, pixel_format.shifts, siting).flatten(2)
    chroma = torch.matmul(_chroma_weights(colour).to(rgb) * levels.chroma, small)
    chroma.add_(levels.grey + 0.5).clamp_(max=levels.peak + 0.5)
    for plane, values in zip(planes[1:], chroma[0], strict=True):
        plane.copy_(values.view(plane.shape))


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


def _chroma_weights(colour: Colour) -> Tensor:
    red, green, blue = _weights(colour)
    cb = torch.tensor([-red, -green, 1 - blue]).div_(2 * (1 - blue))
    cr = torch.tensor([1 - red, -green, -blue]).div_(2 * (1 - red))
    return torch.stack([cb, cr])


def _add_chroma(
    luma: Tensor, cb: Tensor, cr: Tensor, weights: tuple[float, float, float]
) -> Tensor:
    red, green, blue = weights
    to_red, to_blue = 2 * (1 - red), 2 * (1 - blue)
    out = luma.new_empty((luma.shape[0], 3, *luma.shape[1:]))
    torch.add(luma, cr, alpha=to_red, out=out[:, 0])
    torch.add(luma, cb, alpha=-to_blue * blue / green, out=out[:, 1])
    out[:, 1].add_(cr, alpha=-to_red * red / green)
    torch.add(luma, cb, alpha=to_blue, out=out[:, 2])
    return out.clamp_(0, 1)


def _join_rgb(planes: Sequence[Tensor], pixel_format: PixelFormat) -> Tensor:
    if pixel_format.packed:
        return planes[0].permute(0, 3, 1, 2).float().contiguous()
    green, blue, red = planes
    return torch.stack([red, green, blue], 1).float()


def _split_rgb(rgb: Tensor, planes: list[Tensor], pixel_format: PixelFormat) -> None:
    if pixel_format.packed:
        planes[0].copy_(rgb[0].permute(1, 2, 0))
        return
    for plane, values in zip(planes, (rgb[0, 1], rgb[0, 2], rgb[0, 0]), strict=True):
        plane.copy_(values)
