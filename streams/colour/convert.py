"""Conversion between YUV, gray or RGB samples and RGB in [0, 1], on any device.

The transfer curve is left alone: PQ stays PQ, HLG stays HLG.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from vsr.streams.colour.coefficients import find_levels
from vsr.streams.colour.pixel_format import PixelFormat
from vsr.streams.colour.scratch import Scratch
from vsr.streams.colour.yuv_native import YUVFrames, can_read, can_write
from vsr.streams.colour.yuv_torch import YUVStrips, scale, store
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
        pixel_format: Format of the planes.
        colour: Complete tags, see ``colour_tags.complete``.
        headroom: Keep what lies beyond black and white, instead of clamping to [0, 1].
        out: Contiguous tensor for the result; None for new memory on the planes' device.

    Returns:
        (T, 3, H, W), float32, RGB.
    """
    height, width = planes[0].shape[1:3]
    if out is None:
        shape = (len(planes[0]), 3, height, width)
        out = torch.empty(shape, dtype=torch.float32, device=planes[0].device)
    read: Callable[[list[Tensor], Tensor], None]
    if can_read(planes, pixel_format, colour, out):
        read = YUVFrames(pixel_format, colour, headroom=headroom).read
    else:
        read = InStrips(pixel_format, colour, out.device, headroom=headroom).read
    with torch.inference_mode():
        for index, frame in enumerate(out):
            read([plane[index] for plane in planes], frame)
    return out


def from_rgb(
    frames: Tensor, pixel_format: PixelFormat, colour: Colour, *, out: Tensor | None = None
) -> Tensor:
    """Convert restored frames to the samples of raw video frames.

    Args:
        frames: (T, 3, H, W), RGB, any floating dtype. What lies beyond [0, 1] is kept as far as the
            format has codes for it.
        pixel_format: Format of the result.
        colour: Complete tags, see ``colour_tags.complete``.
        out: Contiguous tensor for the result; None for new memory on the frames' device.

    Returns:
        (T, samples of one frame), dtype of the pixel format, planes in memory order without
        padding.
    """
    height, width = frames.shape[2:]
    shapes = pixel_format.plane_shapes(height, width)
    if out is None:
        shape = (len(frames), sum(map(prod, shapes)))
        out = torch.empty(shape, dtype=pixel_format.dtype, device=frames.device)
    write: Callable[[Tensor, list[Tensor]], None]
    if can_write(frames, pixel_format, colour, out):
        write = YUVFrames(pixel_format, colour).write
    else:
        write = InStrips(pixel_format, colour, frames.device).write
    with torch.inference_mode():
        for frame, samples in zip(frames, out, strict=True):
            write(frame, _cut(samples, shapes))
    return out


class InStrips:
    """Converts frames of any kind by torch: on a CPU a few rows at a time, which stay in its cache.

    Args:
        pixel_format: Pixel format of the planes.
        colour: Complete tags.
        device: Where planes and frames are.
        headroom: Keep what lies beyond black and white, instead of clamping to [0, 1].
    """

    def __init__(
        self,
        pixel_format: PixelFormat,
        colour: Colour,
        device: torch.device,
        *,
        headroom: bool = False,
    ) -> None:
        make = RGBStrips if pixel_format.family == "rgb" else YUVStrips
        self._strips: RGBStrips | YUVStrips = make(pixel_format, colour, device)
        self._headroom = headroom

    def read(self, planes: list[Tensor], rgb: Tensor) -> None:
        """Convert one frame's planes into (3, H, W)."""
        for rows in _strips(rgb):
            strip = rgb[:, rows.start : rows.stop]
            self._strips.read(planes, rows, strip)
            if not self._headroom:
                strip.clamp_(0, 1)

    def write(self, frame: Tensor, planes: list[Tensor]) -> None:
        """Convert one frame, (3, H, W), into its planes."""
        for rows in _strips(frame):
            self._strips.write(frame, rows, planes)


def _strips(frame: Tensor) -> list[range]:
    """Rows of (3, H, W) to convert at a time."""
    _, height, width = frame.shape
    on_cpu = frame.device.type == "cpu"
    rows = max(2, STRIP_PIXELS // width // 2 * 2) if on_cpu else height
    return [range(top, min(top + rows, height)) for top in range(0, height, rows)]


class RGBStrips:
    """The counterpart of ``YUVStrips`` for RGB planes, or packed RGB."""

    def __init__(self, pixel_format: PixelFormat, colour: Colour, device: torch.device) -> None:
        self._packed = pixel_format.packed
        self._peak = find_levels(pixel_format, colour).peak
        self._scratch = Scratch(device)

    def read(self, planes: list[Tensor], rows: range, rgb: Tensor) -> None:
        """Convert rows of one frame's planes into (3, rows, W)."""
        for target, samples in zip(rgb, self._by_colour(planes, rows), strict=True):
            target.copy_(samples)
        rgb.mul_(1 / self._peak)

    def write(self, frame: Tensor, rows: range, planes: list[Tensor]) -> None:
        """Convert rows of one frame, (3, H, W), into its planes."""
        self._scratch.again()
        rgb = frame[:, rows.start : rows.stop].float()
        codes = scale(rgb, self._peak, 0.5, out=self._scratch.take(rgb.shape))
        for values, samples in zip(codes, self._by_colour(planes, rows), strict=True):
            store(values, samples, self._peak, self._scratch)

    def _by_colour(self, planes: list[Tensor], rows: range) -> Sequence[Tensor]:
        """Rows of red, green and blue."""
        inside = [plane[rows.start : rows.stop] for plane in planes]
        if self._packed:
            return inside[0].unbind(2)
        green, blue, red = inside
        return red, green, blue


def _cut(samples: Tensor, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Views of one frame's samples, plane by plane."""
    ends = list(accumulate(map(prod, shapes)))
    starts = [0, *ends]
    return [samples[a:b].view(s) for a, b, s in zip(starts, ends, shapes, strict=False)]
