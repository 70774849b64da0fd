"""Chroma upsampling and downsampling, at the sample positions given by the tag.

The two directions are pairs of biorthogonal spline wavelets (Cohen, Daubechies, Feauveau, 1992):
what was enlarged comes back as it was, and slopes stay slopes. Samples on luma samples are enlarged
linearly and halved by LeGall's 5/3 filter, in its lifting form; samples half-way between are halved
by the mean of two and enlarged by the filter (1 8 -1) / 8 that preserves it.

Planes are (C, rows, columns); results lie in the memory of ``scratch``. What is halved is float32.
What is enlarged are integers, which stay exact by growing: half as many bytes to pass over.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from vsr.streams.colour.scratch import Scratch


class Siting(NamedTuple):
    """Whether chroma samples lie on luma samples (True) or half-way between them, by axis."""

    rows: bool
    columns: bool


SITINGS = {
    "left": Siting(rows=False, columns=True),
    "center": Siting(rows=False, columns=False),
    "topleft": Siting(rows=True, columns=True),
    "top": Siting(rows=True, columns=False),
    "bottomleft": Siting(rows=False, columns=True),
    "bottom": Siting(rows=False, columns=False),
}
"""Sitings by ffmpeg's name; the bottom sitings, which no encoder writes, are taken half a sample
higher."""

HALO_ROWS = 2
"""Rows of luma above and below a part of a picture that its chroma depends on."""


class IntegerTypes(NamedTuple):
    """Integer types for chroma upsampling: one for samples, one for sums of two neighbours."""

    sample: torch.dtype
    pair: torch.dtype


NARROW, WIDE = IntegerTypes(torch.int16, torch.int32), IntegerTypes(torch.int32, torch.int64)


def find_gain(shifts: tuple[int, int], siting: Siting) -> int:
    """Gain of chroma upsampling; the shifts say how often rows and columns are doubled."""
    return prod(2 if cosited else 8 for n, cosited in zip(shifts, siting, strict=True) if n)


def find_integers(peak: int, gain: int) -> IntegerTypes:
    """The smallest types that hold samples up to ``peak`` times a gain."""
    return NARROW if 2 * peak * gain <= torch.iinfo(NARROW.sample).max else WIDE


def double_rows(bordered: Tensor, size: int, scratch: Scratch, *, cosited: bool) -> Tensor:
    """Enlarge to ``size`` rows, twice as many or one less, with a gain of 2 or, half-way, 8.

    Args:
        bordered: The planes with one more row above and below: rows of the neighbouring strips,
            or repeated rows at the border of the picture. Overwritten.
        size: Rows to make.
        scratch: Memory for the result.
        cosited: Whether rows of chroma lie on rows of luma.
    """
    planes, below = bordered[:, 1:-1], bordered[:, 2:]
    count, rows, columns = planes.shape
    doubled = scratch.take((count, rows, 2, columns), planes.dtype)
    first, second = doubled.unbind(2)
    if cosited:
        torch.mul(planes, 2, out=first)
        torch.add(planes, below, out=second)
    else:
        out = scratch.take(planes.shape, planes.dtype)
        slope = torch.sub(bordered[:, :-2], below, out=out)
        if size % 2:  # the last row is what its chroma says
            slope[:, -1].zero_()
        planes.mul_(8)
        torch.add(planes, slope, out=first)
        torch.sub(planes, slope, out=second)
    return doubled.flatten(1, 2)[:, :size]


def double_columns(
    planes: Tensor, size: int, integers: IntegerTypes, scratch: Scratch, *, cosited: bool
) -> Tensor:
    """Enlarge to ``size`` columns, twice as many or one less, with a gain of 2 or, half-way, 8.

    Args:
        planes: Planes of the type for pairs, not negative.
        size: Columns to make.
        integers: The types of the planes and of the result.
        scratch: Memory for the result.
        cosited: Whether columns of chroma lie on columns of luma.
    """
    # Neighbours are made as one number, the left one in its lower half: torch interleaves columns
    # many times slower. The left one must not be negative, or it would borrow from the right one.
    right = 1 << 8 * integers.sample.itemsize
    pairs = scratch.take(planes.shape, integers.pair)
    if cosited:
        torch.mul(planes, 2 + right, out=pairs)
        pairs[..., :-1].add_(planes[..., 1:], alpha=right)
        pairs[..., -1].add_(planes[..., -1], alpha=right)
        return pairs.view(integers.sample)[..., :size]
    lift = right // 4
    torch.mul(planes, 8 * (1 + right), out=pairs)
    pairs.add_(_slope_of_columns(planes, size), alpha=1 - right).add_(lift * (1 + right))
    return pairs.view(integers.sample).sub_(lift)[..., :size]


def _slope_of_columns(planes: Tensor, size: int) -> Tensor:
    bordered = torch.cat([planes[..., :1], planes, planes[..., -1:]], 2)
    slope = bordered[..., :-2] - bordered[..., 2:]
    if size % 2:
        slope[..., -1].zero_()
    return slope


def halve_rows(planes: Tensor, scratch: Scratch, *, cosited: bool) -> Tensor:
    """Reduce to half the rows; an odd last row is repeated."""
    planes = _even_number(planes, 1)
    even, odd = planes[:, ::2], planes[:, 1::2]
    halved = scratch.take(even.shape)
    if not cosited:
        return torch.lerp(even, odd, 0.5, out=halved)
    return _smooth(halved.copy_(even), scratch.take(odd.shape).copy_(odd), 1)


def halve_columns(planes: Tensor, scratch: Scratch, *, cosited: bool) -> Tensor:
    """Reduce to half the columns; an odd last one is repeated. Overwrites the planes."""
    # Pairs of neighbours as numbers of 64 bits, whose halves torch tells apart faster than columns.
    pairs = _even_number(planes, 2).contiguous().view(torch.int64)
    even, odd = scratch.take(pairs.shape), scratch.take(pairs.shape)
    even.view(torch.int32).copy_(pairs)
    odd.view(torch.int32).copy_(pairs.bitwise_right_shift_(32))
    return _smooth(even, odd, 2) if cosited else torch.lerp(even, odd, 0.5, out=even)


def _smooth(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    """Every other sample, by the 5/3 filter, in the place of ``even``; ``odd`` is overwritten."""
    size = even.shape[dim] - 1
    odd.sub_(even, alpha=0.5)
    odd.narrow(dim, 0, size).sub_(even.narrow(dim, 1, size), alpha=0.5)
    odd.select(dim, size).sub_(even.select(dim, size), alpha=0.5)
    even.add_(odd, alpha=0.25)
    even.narrow(dim, 1, size).add_(odd.narrow(dim, 0, size), alpha=0.25)
    even.select(dim, 0).add_(odd.select(dim, 0), alpha=0.25)
    return even


def _even_number(planes: Tensor, dim: int) -> Tensor:
    size = planes.shape[dim]
    return torch.cat([planes, planes.narrow(dim, size - 1, 1)], dim) if size % 2 else planes
