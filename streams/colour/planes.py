"""The planes of a decoded frame as tensors that share its memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from av import VideoFrame
from av.video.plane import VideoPlane
from torch import Tensor

from vsr.streams.colour import tags as colour_tags
from vsr.streams.colour.convert import to_rgb
from vsr.streams.colour.pixel_format import PixelFormat, nearest_pixel_format, parse_pixel_format
from vsr.streams.colour.rotation import Orientation, read_orientation
from vsr.types import Colour


@dataclass(frozen=True)
class FrameFormat:
    """Format of decoded frames that can be converted together.

    Attributes:
        pixel_format: Format of the planes.
        colour: The frame's own tags, incomplete.
        height: Rows as stored.
        width: Columns as stored.
        orientation: From stored to shown.
    """

    pixel_format: PixelFormat
    colour: Colour
    height: int
    width: int
    orientation: Orientation

    @property
    def shown_size(self) -> tuple[int, int]:
        """Rows and columns after rotation."""
        return self.orientation.apply_size(self.height, self.width)


@dataclass(frozen=True)
class DecodedFrame:
    """A frame's planes, (rows, columns) each, views of the decoder's memory, and its pts."""

    picture: FrameFormat
    planes: tuple[Tensor, ...]
    pts: int


def read_frame(frame: VideoFrame, pts: int, chroma_location: str | None) -> DecodedFrame:
    """Split a decoded frame into planes; unsupported formats are converted by swscale.

    Args:
        frame: A software frame; its memory lives as long as the planes.
        pts: Presentation time of the frame.
        chroma_location: Where the codec puts chroma, if that is known.
    """
    colour = colour_tags.read_tags(
        matrix=frame.colorspace,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        colour_range=frame.color_range,
        chroma_location=chroma_location,
    )
    orientation = read_orientation(frame)
    frame, pixel_format = _convertible(frame)
    picture = FrameFormat(pixel_format, colour, frame.height, frame.width, orientation)
    shapes = pixel_format.plane_shapes(frame.height, frame.width)
    views = zip(frame.planes, shapes, strict=False)
    return DecodedFrame(
        picture, tuple(_view(plane, shape, pixel_format.dtype) for plane, shape in views), pts
    )


def convert(frames: Sequence[DecodedFrame], out: Tensor, *, headroom: bool = False) -> Tensor:
    """Convert frames of one picture to RGB as shown.

    Args:
        frames: At least one.
        out: (T, 3, H, W) as stored, float32, where the result goes; new memory where it is turned.
        headroom: See ``to_rgb``.
    """
    picture = frames[0].picture
    colour = colour_tags.complete(
        picture.colour, picture.pixel_format, height=picture.height, width=picture.width
    )
    for frame, pixels in zip(frames, out, strict=True):
        planes = [plane.to(out.device)[None] for plane in frame.planes]
        to_rgb(planes, picture.pixel_format, colour, headroom=headroom, out=pixels[None])
    return picture.orientation.apply(out)


def _convertible(frame: VideoFrame) -> tuple[VideoFrame, PixelFormat]:
    pixel_format = parse_pixel_format(frame.format.name)
    if pixel_format is None:
        pixel_format = nearest_pixel_format(frame.format)
    elif all(plane.line_size > 0 for plane in frame.planes):
        return frame, pixel_format
    else:
        pixel_format = _other_format(pixel_format)
    same_range = frame.color_range or None
    converted = frame.reformat(
        format=pixel_format.name, src_color_range=same_range, dst_color_range=same_range
    )
    return converted, pixel_format


def _other_format(bottom_up: PixelFormat) -> PixelFormat:
    # PyAV's buffer of a bottom-up frame begins at its last row in memory; swscale's copy is
    # top-down, but swscale copies only into another format.
    name = "rgb48le" if bottom_up.family == "rgb" else "yuv444p16le"
    return PixelFormat(name=name, family=bottom_up.family, bits=16, packed=name == "rgb48le")


def _view(plane: VideoPlane, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    rows = torch.frombuffer(plane, dtype=dtype).view(shape[0], -1)
    return rows[:, : prod(shape[1:])].view(shape)
