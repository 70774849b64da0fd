"""Compiled from ``_yuv.c``. Addresses and sizes are not checked; the GIL is released meanwhile.

Halved says whether chroma has half as many rows, half as many columns, and whether these lie on
columns of luma or half-way between them; its rows lie half-way. Sizes are (height, width).
"""

def read(
    planes: tuple[int, ...],
    row_bytes: tuple[int, ...],
    rgb: int,
    size: tuple[int, int],
    halved: tuple[bool, bool, bool],
    grey: int,
    factors: tuple[float, ...],
    /,
) -> None:
    """Convert Y, Cb and Cr at these addresses to RGB, (3, H, W), contiguous.

    The factors are those of ``yuv_factors.Reading``, and the two numbers where results are clamped.
    """

def write(
    rgb: int,
    strides: tuple[int, int],
    size: tuple[int, int],
    halved: tuple[bool, bool, bool],
    factors: tuple[float, ...],
    planes: tuple[int, ...],
    /,
) -> None:
    """Convert RGB, whose colours and rows are this many numbers apart, to contiguous planes.

    The factors are those of ``yuv_factors.Writing``.
    """
