"""Strips of YUV and gray planes to RGB and back.

Equations: see ``coefficients``. No matrix products, whose precision other code may have lowered.

On a CPU this is most of what the pipeline costs beside decoder, network and encoder, where
``yuv_native`` does not apply. Passes over memory dominate: scale and offset ride
along with the addition that has to be made anyway, what lies between goes where the last strip's
was, and chroma is as small as it can be for as long as it can be, in rows and columns and in bytes.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vsr.streams.colour.chroma import (
    HALO_ROWS,
    SITINGS,
    double_columns,
    double_rows,
    find_gain,
    find_integers,
    halve_columns,
    halve_rows,
)
from vsr.streams.colour.coefficients import find_from_yuv, find_levels, find_to_yuv, find_weights
from vsr.streams.colour.pixel_format import PixelFormat
from vsr.streams.colour.scratch import Scratch
from vsr.types import Colour


class YUVStrips:
    """Converts strips of frames of one kind, one after the other.

    Args:
        pixel_format: Pixel format of the planes: YUV or gray.
        colour: Complete tags.
        device: Where planes and frames are.
    """

    def __init__(self, pixel_format: PixelFormat, colour: Colour, device: torch.device) -> None:
        self._gray = pixel_format.family == "gray"
        self._shifts = pixel_format.shifts
        self._siting = SITINGS[colour.chroma_location or "left"]
        self._levels, weights = find_levels(pixel_format, colour), find_weights(colour)
        gain = find_gain(self._shifts, self._siting)
        self._reading = find_from_yuv(self._levels, weights, gain)
        self._writing = find_to_yuv(self._levels, weights)
        self._integers = find_integers(int(self._levels.peak), gain)
        self._scratch = Scratch(device)

    def read(self, planes: list[Tensor], rows: range, rgb: Tensor) -> None:
        """Convert rows of one frame's planes into (3, rows, W)."""
        self._scratch.again()
        stored = planes[0][rows.start : rows.stop]
        luma = self._scratch.take(stored.shape).copy_(stored)
        scale(luma, self._reading.scale, self._reading.black, out=luma)
        if self._gray:
            rgb.copy_(luma)
        else:
            self._add_chroma(luma, self._read_chroma(planes, rows), rgb)

    def write(self, frame: Tensor, rows: range, planes: list[Tensor]) -> None:
        """Convert rows of one frame, (3, H, W), into its planes."""
        self._scratch.again()
        halo = HALO_ROWS if self._shifts[0] and self._siting.rows else 0
        first = max(0, rows.start - halo)
        rgb = frame[:, first : rows.stop + halo].float()
        luma = self._make_luma(rgb)
        if not self._gray:
            chroma = self._make_chroma(rgb, luma)
            above, top = ((n >> self._shifts[0]) for n in (rows.start - first, rows.start))
            count = len(range(rows.start, rows.stop, 1 + self._shifts[0]))
            for plane, codes in zip(planes[1:], chroma, strict=True):
                self._store(codes[above : above + count], plane[top : top + count])
        codes = luma[rows.start - first :][: len(rows)]
        self._store(codes, planes[0][rows.start : rows.stop])

    def _read_chroma(self, planes: list[Tensor], rows: range) -> Tensor:
        """Both chroma planes at the size of luma, grey being 0, times the gain: (2, rows, W)."""
        halved, (count, columns) = self._shifts[0], planes[1].shape
        # Rows of chroma; where they will be doubled, with one more above and below.
        first, end = (rows.start >> halved) - halved, -(-rows.stop >> halved) + halved
        integers = self._integers
        dtype = integers.pair if self._shifts[1] else integers.sample
        chroma = self._scratch.take((2, end - first, columns), dtype)
        inside = range(max(first, 0), min(end, count))
        for target, plane in zip(chroma, planes[1:], strict=True):
            target[inside.start - first : inside.stop - first] = plane[inside.start : inside.stop]
        if first < 0:
            chroma[:, 0] = chroma[:, 1]
        if end > count:
            chroma[:, -1] = chroma[:, -2]
        if self._shifts[1]:
            width, cosited = planes[0].shape[1], self._siting.columns
            chroma = double_columns(chroma, width, integers, self._scratch, cosited=cosited)
        chroma.sub_(int(self._levels.grey) * find_gain((0, self._shifts[1]), self._siting))
        if halved:
            chroma = double_rows(chroma, len(rows), self._scratch, cosited=self._siting.rows)
        return chroma

    def _add_chroma(self, luma: Tensor, chroma: Tensor, rgb: Tensor) -> None:
        by, (red, green, blue) = self._reading, rgb
        cb, cr = self._scratch.take(chroma.shape).copy_(chroma)
        torch.add(luma, cr, alpha=by.red, out=red)
        torch.add(luma, cb, alpha=by.blue, out=blue)
        # What is written over is cheaper than what is new: green comes last, out of luma itself.
        luma.add_(cb, alpha=by.green_cb)
        torch.add(luma, cr, alpha=by.green_cr, out=green)

    def _make_luma(self, rgb: Tensor) -> Tensor:
        """Numbers whose whole part is luma's code: (rows, W)."""
        by, out = self._writing, self._scratch.take(rgb.shape[1:])
        luma = scale(rgb[0], by.red, by.zero, out=out)
        return luma.add_(rgb[1], alpha=by.green).add_(rgb[2], alpha=by.blue)

    def _make_chroma(self, rgb: Tensor, luma: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers whose whole part is the code of Cb and of Cr, at their own size."""
        by, scratch = self._writing, self._scratch
        red_blue, luma = rgb[::2], luma[None]
        if self._shifts[0]:
            red_blue = halve_rows(red_blue, scratch, cosited=self._siting.rows)
            luma = halve_rows(luma, scratch, cosited=self._siting.rows)
            differences = red_blue.sub_(luma, alpha=by.per_code)
        else:
            out = scratch.take(red_blue.shape)
            differences = torch.sub(red_blue, luma, alpha=by.per_code, out=out)
        if self._shifts[1]:
            differences = halve_columns(differences, scratch, cosited=self._siting.columns)
        red, blue = differences
        return scale(blue, by.cb, by.cb_zero, out=blue), scale(red, by.cr, by.cr_zero, out=red)

    def _store(self, codes: Tensor, plane: Tensor) -> None:
        store(codes, plane, self._levels.peak, self._scratch)


def scale(values: Tensor, factor: float, offset: float, *, out: Tensor) -> Tensor:
    """``factor * values + offset`` in one pass."""
    return torch.add(_constant(offset), values, alpha=factor, out=out)


def store(codes: Tensor, plane: Tensor, peak: float, scratch: Scratch) -> None:
    """Clamp, which changes ``codes``, and cut off the fraction."""
    codes.clamp_(0, peak)
    if plane.dtype == torch.uint8:
        # The step by way of 16 bits is four times as fast as torch's own conversion to 8.
        codes = scratch.take(codes.shape, torch.int16).copy_(codes)
    plane.copy_(codes)


@cache
def _constant(value: float) -> Tensor:
    return torch.tensor(value)
