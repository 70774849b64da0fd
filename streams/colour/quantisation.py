"""What code values mean: ITU-R BT.2100-2, table 9, for 8 to 16 bits."""

from __future__ import annotations

from typing import NamedTuple

from vsr.streams.colour.pixel_format import PixelFormat
from vsr.streams.colour.tags import LUMA_WEIGHTS
from vsr.types import Colour


class Levels(NamedTuple):
    """Code values: black, luma's and chroma's span from 0 to 1, chroma's zero, the largest code."""

    black: float
    luma: float
    chroma: float
    grey: float
    peak: float


class Weights(NamedTuple):
    """Shares of red, green and blue in luma; their sum is 1."""

    red: float
    green: float
    blue: float

    @property
    def red_span(self) -> float:
        """Red minus luma where Cr is 1/2, times 2."""
        return 2 * (1 - self.red)

    @property
    def blue_span(self) -> float:
        """Blue minus luma where Cb is 1/2, times 2."""
        return 2 * (1 - self.blue)


def find_levels(pixel_format: PixelFormat, colour: Colour) -> Levels:
    """Levels of a format's samples by the range they have."""
    peak = float((1 << pixel_format.bits) - 1)
    step = float(1 << (pixel_format.bits - 8))
    if colour.range == "pc" or pixel_format.family == "rgb":
        return Levels(0, peak, peak, 128 * step, peak)
    return Levels(16 * step, 219 * step, 224 * step, 128 * step, peak)


def find_weights(colour: Colour) -> Weights:
    """Weights of a matrix; those of BT.709 where there is none."""
    red, blue = LUMA_WEIGHTS[colour.matrix or "bt709"]
    return Weights(red, 1 - red - blue, blue)
