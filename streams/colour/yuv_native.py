"""Compiled conversion of 8-bit planar YUV to RGB and back, in one pass over memory.

Most videos have this format. ``yuv_torch.YUVStrips`` handles all others, and installations without
the compiled module; results agree except for rounding on processors without FMA.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch
from torch import Tensor

from vsr.streams.colour.chroma import SITINGS, Siting, find_gain
from vsr.streams.colour.coefficients import find_from_yuv, find_levels, find_to_yuv, find_weights
from vsr.streams.colour.pixel_format import PixelFormat
from vsr.types import Colour

try:
    from vsr.streams import _yuv
except ImportError:
    BUILT = False
else:
    BUILT = True
"""Whether the compiled code is there."""


def can_read(
    planes: Sequence[Tensor], pixel_format: PixelFormat, colour: Colour, rgb: Tensor
) -> bool:
    """Whether frames, (T, rows, columns) a plane, can be converted into ``rgb``, (T, 3, H, W)."""
    return (
        _knows(pixel_format, colour)
        and _in_reach(rgb, torch.float32)
        and rgb.is_contiguous()
        and all(_in_reach(plane, torch.uint8) for plane in planes)
        and _fit(planes, pixel_format, rgb)
    )


def can_write(frames: Tensor, pixel_format: PixelFormat, colour: Colour, samples: Tensor) -> bool:
    """Whether frames, (T, 3, H, W), can be converted into ``samples``, (T, samples of one)."""
    return (
        _knows(pixel_format, colour)
        and _in_reach(frames, torch.float32)
        and _in_reach(samples, torch.uint8)
        and frames.shape[1] == 3
    )


class YUVFrames:
    """Converts frames of one kind that ``can_read`` or ``can_write`` has found to fit.

    Args:
        pixel_format: Pixel format of the planes.
        colour: Complete tags.
        headroom: Keep what lies beyond black and white, instead of clamping to [0, 1].
    """

    def __init__(
        self, pixel_format: PixelFormat, colour: Colour, *, headroom: bool = False
    ) -> None:
        levels, weights = find_levels(pixel_format, colour), find_weights(colour)
        siting, shifts = _siting(colour), pixel_format.shifts
        self._grey = int(levels.grey)
        self._halved = (bool(shifts[0]), bool(shifts[1]), siting.columns)
        ends = (-inf, inf) if headroom else (0.0, 1.0)
        self._reading = (*find_from_yuv(levels, weights, find_gain(shifts, siting)), *ends)
        self._writing = tuple(find_to_yuv(levels, weights))

    def read(self, planes: Sequence[Tensor], rgb: Tensor) -> None:
        """Convert one frame's planes into (3, H, W)."""
        _, height, width = rgb.shape
        _yuv.read(
            _addresses(planes),
            tuple(plane.stride(0) for plane in planes),
            rgb.data_ptr(),
            (height, width),
            self._halved,
            self._grey,
            self._reading,
        )

    def write(self, frame: Tensor, planes: Sequence[Tensor]) -> None:
        """Convert one frame, (3, H, W), into its planes."""
        _, height, width = frame.shape
        _yuv.write(
            frame.data_ptr(),
            (frame.stride(0), frame.stride(1)),
            (height, width),
            self._halved,
            self._writing,
            _addresses(planes),
        )


def _knows(pixel_format: PixelFormat, colour: Colour) -> bool:
    rows_cosited = pixel_format.shifts[0] and _siting(colour).rows
    return BUILT and pixel_format.family == "yuv" and pixel_format.bits == 8 and not rows_cosited


def _in_reach(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether a tensor is in CPU memory and the samples of each row are contiguous."""
    beside = tensor.stride(-1) == 1
    return tensor.device.type == "cpu" and tensor.dtype == dtype and beside and tensor.numel() > 0


def _fit(planes: Sequence[Tensor], pixel_format: PixelFormat, rgb: Tensor) -> bool:
    _, channels, height, width = rgb.shape
    shapes = pixel_format.plane_shapes(height, width)
    return channels == 3 and shapes == tuple(tuple(plane.shape[1:]) for plane in planes)


def _siting(colour: Colour) -> Siting:
    return SITINGS[colour.chroma_location or "left"]


def _addresses(planes: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(plane.data_ptr() for plane in planes)
