"""Colour tags: ffmpeg's names of the decoder's numbers, and defaults for missing tags."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from vsr.streams.colour.pixel_format import Family, PixelFormat
from vsr.types import Colour

MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "jedec-p22",
}
TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
RANGES = {1: "tv", 2: "pc"}

LUMA_WEIGHTS = {
    "bt709": (0.2126, 0.0722),
    "fcc": (0.30, 0.11),
    "bt470bg": (0.299, 0.114),
    "smpte170m": (0.299, 0.114),
    "smpte240m": (0.212, 0.087),
    "bt2020nc": (0.2627, 0.0593),
    "bt2020c": (0.2627, 0.0593),
}
"""Weights of red and blue in luma, by matrix: what the conversion knows."""

HD_HEIGHT = 720
HD_WIDTH = 1280
"""Size from which on players take an untagged stream as BT.709, below as BT.601."""


def read_tags(
    *,
    matrix: int,
    primaries: int,
    transfer: int,
    colour_range: int,
    chroma_location: str | None = None,
) -> Colour:
    """Name the numbers of a decoded frame; unspecified and unknown ones become None."""
    return Colour(
        matrix=MATRICES.get(matrix),
        primaries=PRIMARIES.get(primaries),
        transfer=TRANSFERS.get(transfer),
        range=RANGES.get(colour_range),
        chroma_location=chroma_location,
    )


def complete(colour: Colour, pixel_format: PixelFormat, *, height: int, width: int) -> Colour:
    """Fill missing tags that a conversion needs, as players do.

    Args:
        colour: The stream's tags.
        pixel_format: The stream's pixel format.
        height: Rows of the source, whose size decides between BT.601 and BT.709.
        width: Columns of the source.

    Returns:
        Tags whose ``matrix`` (one of ``LUMA_WEIGHTS``), ``range`` and ``chroma_location`` are set.
        Primaries and transfer are guessed together with the matrix only.
    """
    known = _with_matrix(colour, pixel_format.family, height, width)
    colour_range = known.range or ("pc" if pixel_format.full_range_by_name else "tv")
    location = known.chroma_location or ("topleft" if known.matrix == "bt2020nc" else "left")
    return replace(known, range=colour_range, chroma_location=location)


def for_output(colour: Colour, pixel_format: PixelFormat, *, height: int, width: int) -> Colour:
    """The tags that an output of a source carries: the source's, explicit where it has none.

    A source of RGB becomes limited-range BT.709, whatever its size: with the tag there is nothing
    to guess.
    """
    known = complete(colour, pixel_format, height=height, width=width)
    return replace(known, range="tv") if pixel_format.family == "rgb" else known


def guesses(colour: Colour, pixel_format: PixelFormat) -> bool:
    """Whether the stream's own tags leave the matrix open."""
    return pixel_format.family == "yuv" and colour.matrix not in LUMA_WEIGHTS


def _with_matrix(colour: Colour, family: Family, height: int, width: int) -> Colour:
    if colour.matrix in LUMA_WEIGHTS:
        return colour
    hd = height >= HD_HEIGHT or width >= HD_WIDTH or family == "rgb"
    name = "bt709" if hd else "smpte170m"
    return replace(
        colour,
        matrix=name,
        primaries=colour.primaries or name,
        transfer=colour.transfer or name,
    )


def luma_matrix(matrix: str) -> Tensor:
    """The 3x3 matrix from RGB to Y, Cb and Cr, all of full range; float64."""
    red, blue = LUMA_WEIGHTS[matrix]
    luma = torch.tensor([red, 1 - red - blue, blue], dtype=torch.float64)
    unit = torch.eye(3, dtype=torch.float64)
    cb, cr = (unit[2] - luma) / (2 * (1 - blue)), (unit[0] - luma) / (2 * (1 - red))
    return torch.stack([luma, cb, cr])
