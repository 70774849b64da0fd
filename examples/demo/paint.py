"""Brushes of the demo's picture: shapes drawn at four times the size, filtered down, textured.

Coordinates are pixels of the 1280x720 clip, x first, as Pillow has them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import interpolate

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

DENSITY = 2
"""Elements of a painted part per pixel of the clip; they are filtered to what the clip resolves."""

_DRAWN = 2 * DENSITY


class Canvas:
    """Something to paint on: colour, and where it is opaque.

    Opaque colours cover; colours with an alpha below 255 tint what is there. ``random`` is the
    source of everything irregular, the same in every run.
    """

    def __init__(self, width: int, height: int) -> None:
        self.random = np.random.default_rng(7)
        size = (width * _DRAWN, height * _DRAWN)
        self._colour = Image.new("RGB", size, (128, 128, 128))
        self._cover = Image.new("L", size, 0)
        self._draw = ImageDraw.Draw(self._colour, "RGBA")
        self._mask = ImageDraw.Draw(self._cover)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        scaled = [(x * _DRAWN, y * _DRAWN) for x, y in points]
        self._draw.polygon(scaled, fill=fill)
        if _opaque(fill):
            self._mask.polygon(scaled, fill=255)

    def rectangle(self, left: float, top: float, width: float, height: float, fill: Colour) -> None:
        right, bottom = left + width, top + height
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def ellipse(self, centre: Point, radii: Point, fill: Colour) -> None:
        (x, y), (a, b) = centre, radii
        box = [v * _DRAWN for v in (x - a, y - b, x + a, y + b)]
        self._draw.ellipse(box, fill=fill)
        if _opaque(fill):
            self._mask.ellipse(box, fill=255)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        scaled = [(x * _DRAWN, y * _DRAWN) for x, y in points]
        self._draw.line(scaled, fill=fill, width=round(width * _DRAWN), joint="curve")
        self._mask.line(scaled, fill=255, width=round(width * _DRAWN), joint="curve")

    def text(
        self,
        at: Point,
        text: str,
        size: float,
        fill: Colour,
        *,
        anchor: str = "mm",
        bold: float = 0,
    ) -> None:
        """Write one line; ``anchor`` is Pillow's, ``bold`` the stroke's width."""
        font = ImageFont.load_default(size * _DRAWN)
        place = (at[0] * _DRAWN, at[1] * _DRAWN)
        stroke = round(bold * _DRAWN)
        self._draw.text(place, text, fill=fill, font=font, anchor=anchor, stroke_width=stroke)
        self._mask.text(place, text, fill=255, font=font, anchor=anchor, stroke_width=stroke)

    def finish(self, *, grain: float = 0.0) -> Tensor:
        """Give what was painted.

        Args:
            grain: Relative strength of the texture that is laid over the colours.

        Returns:
            (4, DENSITY * height, DENSITY * width), RGB multiplied by the alpha that follows it.
        """
        colour, alpha = _filter(self._colour), _filter(self._cover)
        if grain:
            texture = noise(self.random, alpha.shape[-2] // DENSITY, alpha.shape[-1] // DENSITY)
            colour *= (
                1 + grain * interpolate(texture[None, None], alpha.shape[-2:], mode="bilinear")[0]
            )
        return torch.cat([colour.clamp(0, 1) * alpha, alpha])


def noise(
    generator: Generator, height: int, width: int, *, octaves: int = 8, growth: float = 1.3
) -> Tensor:
    """Sum random fields, each half as fine as the one before and ``growth`` times as strong.

    Returns:
        (height, width), zero mean, unit variance.
    """
    total = torch.zeros(1, 1, height, width)
    for octave in range(octaves):
        rows, columns = (height >> octave) + 2, (width >> octave) + 2
        field = torch.from_numpy(generator.standard_normal((1, 1, rows, columns), np.float32))
        total += growth**octave * interpolate(field, (height, width), mode="bilinear")
    total = total[0, 0]
    return (total - total.mean()) / total.std()


def shade(colour: Colour, factor: float) -> tuple[int, int, int]:
    """Multiply a colour's brightness."""
    red, green, blue = (min(255, max(0, round(v * factor))) for v in colour[:3])
    return red, green, blue


def _opaque(colour: Colour) -> bool:
    return len(colour) == 3 or colour[3] == 255


def _filter(image: Image.Image) -> Tensor:
    size = (image.width * DENSITY // _DRAWN, image.height * DENSITY // _DRAWN)
    small = image.resize(size, Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(small)).float() / 255
    return pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0)
