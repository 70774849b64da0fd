"""What the output of a stream shows: one size and one form, however the source changes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch.nn.functional as F
from torch import Tensor

from vsr.streams.colour.pixel_format import PixelFormat, parse_pixel_format
from vsr.streams.colour.tags import for_output
from vsr.types import Colour, StreamInfo


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the output shows; it stays the same however the source changes.

    Attributes:
        height: Rows, even.
        width: Columns, even.
        time_base: Of the pts.
        frame_rate: What key frames are counted by.
        colour: Complete tags of the frames.
        aspect: Width of a pixel over its height.
        bit_depth: Of the source.
    """

    height: int
    width: int
    time_base: Fraction
    frame_rate: Fraction
    colour: Colour
    aspect: Fraction = Fraction(1)
    bit_depth: int = 8


def picture_of(info: StreamInfo, scale: int, frame_rate: Fraction) -> Picture:
    """The output for a source's first connection: restored, its size made even."""
    pixel_format = parse_pixel_format(info.pixel_format) or PixelFormat(
        name="yuv420p", family="yuv", bits=8, shifts=(1, 1)
    )
    height, width = info.height * scale, info.width * scale
    return Picture(
        height=height + height % 2,
        width=width + width % 2,
        time_base=info.time_base,
        frame_rate=frame_rate,
        colour=for_output(info.colour, pixel_format, height=info.height, width=info.width),
        aspect=info.sample_aspect_ratio,
        bit_depth=info.bit_depth,
    )


def fitted(frames: Tensor, height: int, width: int) -> Tensor:
    """Frames (T, 3, H, W) in a picture of a size: their shape is kept, what is left is black."""
    rows, columns = frames.shape[-2:]
    if (rows, columns) == (height, width):
        return frames
    if (rows + rows % 2, columns + columns % 2) == (height, width):
        return F.pad(frames, (0, columns % 2, 0, rows % 2), mode="replicate")
    ratio = min(height / rows, width / columns)
    inner = (max(1, round(rows * ratio)), max(1, round(columns * ratio)))
    scaled = F.interpolate(frames.float(), inner, mode="bilinear", antialias=True)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return F.pad(scaled, (left, width - inner[1] - left, top, height - inner[0] - top))
