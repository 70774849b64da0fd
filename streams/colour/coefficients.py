"""Coefficients of the conversions between YUV codes and RGB.

Equations: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance).
"""

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


class FromYUV(NamedTuple):
    """Luma is ``black + scale * code``; the others are for chroma as enlarging makes it.

    Red is luma and ``red * cr``, blue is luma and ``blue * cb``, green is luma and both of green's.
    """

    scale: float
    black: float
    red: float
    blue: float
    green_cb: float
    green_cr: float


class ToYUV(NamedTuple):
    """Coefficients from RGB to numbers whose whole part is a code.

    Luma's is ``zero + red * R + green * G + blue * B``. Chroma's is ``cb_zero + cb * (B - luma)``
    and the same for Cr, where luma is ``per_code`` times that number.
    """

    red: float
    green: float
    blue: float
    zero: float
    per_code: float
    cb: float
    cb_zero: float
    cr: float
    cr_zero: float


def find_from_yuv(levels: Levels, weights: Weights, gain: int) -> FromYUV:
    """Coefficients from codes to RGB; the gain is that of chroma upsampling."""
    red, blue = (span / (levels.chroma * gain) for span in (weights.red_span, weights.blue_span))
    return FromYUV(
        scale=1 / levels.luma,
        black=-levels.black / levels.luma,
        red=red,
        blue=blue,
        green_cb=-blue * weights.blue / weights.green,
        green_cr=-red * weights.red / weights.green,
    )


def find_to_yuv(levels: Levels, weights: Weights) -> ToYUV:
    """Coefficients from RGB to codes; one half is added, so that truncation rounds."""
    cb, cr = levels.chroma / weights.blue_span, levels.chroma / weights.red_span
    lifted = (levels.black + 0.5) / levels.luma
    return ToYUV(
        red=weights.red * levels.luma,
        green=weights.green * levels.luma,
        blue=weights.blue * levels.luma,
        zero=levels.black + 0.5,
        per_code=1 / levels.luma,
        cb=cb,
        cb_zero=levels.grey + 0.5 + cb * lifted,
        cr=cr,
        cr_zero=levels.grey + 0.5 + cr * lifted,
    )
