"""Chroma planes up to the size of luma and back, with the samples where the tag puts them.

The two directions are pairs of biorthogonal spline wavelets (Cohen, Daubechies, Feauveau, 1992):
what was enlarged comes back as it was, and slopes stay slopes. Samples on luma samples are enlarged
linearly and halved by LeGall's 5/3 filter, in its lifting form; samples half-way between are halved
by the mean of two and enlarged by the filter (1 8 -1) / 8 that preserves it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


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
"""By ffmpeg's name; the bottom sitings, which no encoder writes, are taken half a sample higher."""

HALO_ROWS = 2
"""Rows of luma above and below a part of a picture that its chroma depends on."""


def double_rows(planes: Tensor, size: int, *, cosited: bool) -> Tensor:
    """Enlarge (C, rows, columns), float32, to ``size`` rows, twice as many or one less."""
    count, rows, columns = planes.shape
    doubled = planes.new_empty((count, 2 * rows, columns))
    first, second = doubled[:, ::2], doubled[:, 1::2]
    if cosited:
        first.copy_(planes)
        _fill_between(planes, second, 1)
    else:
        _fill_around(planes, first, second, 1, odd=size % 2 == 1)
    return doubled[:, :size]


def double_columns(planes: Tensor, size: int, *, cosited: bool) -> Tensor:
    """Enlarge (C, rows, columns), float32, to ``size`` columns, twice as many or one less."""
    first, second = planes, torch.empty_like(planes)
    if cosited:
        _fill_between(planes, second, 2)
    else:
        first = torch.empty_like(planes)
        _fill_around(planes, first, second, 2, odd=size % 2 == 1)
    # Pairs of neighbours as complex numbers: torch interleaves them 9 times faster than by stack.
    return torch.view_as_real(torch.complex(first, second)).flatten(2)[..., :size]


def halve_rows(planes: Tensor, *, cosited: bool) -> Tensor:
    """Reduce (C, rows, columns), float32, to half the rows; an odd last row is repeated."""
    planes = _even_number(planes, 1)
    return _halved(planes[:, ::2], planes[:, 1::2], 1, cosited=cosited)


def halve_columns(planes: Tensor, *, cosited: bool) -> Tensor:
    """Reduce (C, rows, columns), float32, to half the columns; an odd last one is repeated."""
    # Pairs of neighbours as numbers of 64 bits, whose halves torch tells apart faster than columns.
    pairs = _even_number(planes, 2).contiguous().view(torch.int64)
    even = pairs.to(torch.int32).view(torch.float32)
    odd = (pairs >> 32).to(torch.int32).view(torch.float32)
    return _halved(even, odd, 2, cosited=cosited)


def _fill_between(planes: Tensor, between: Tensor, dim: int) -> None:
    """The mean of each sample and its next."""
    size = planes.shape[dim] - 1
    before, after = planes.narrow(dim, 0, size), planes.narrow(dim, 1, size)
    torch.lerp(before, after, 0.5, out=between.narrow(dim, 0, size))
    between.select(dim, size).copy_(planes.select(dim, size))


def _fill_around(planes: Tensor, first: Tensor, second: Tensor, dim: int, *, odd: bool) -> None:
    """Samples a quarter before and a quarter behind each one; an odd last one has none behind."""
    slope = _slope(planes, dim)
    if odd:  # the last sample is what its chroma says
        slope.select(dim, -1).zero_()
    torch.add(planes, slope, alpha=1 / 8, out=first)
    torch.sub(planes, slope, alpha=1 / 8, out=second)


def _slope(planes: Tensor, dim: int) -> Tensor:
    """Each sample's previous minus its next, the border repeated."""
    size = planes.shape[dim]
    slope = torch.empty_like(planes)
    for start, count, back, ahead in ((0, 1, 0, 1), (1, size - 2, 1, 1), (size - 1, 1, 1, 0)):
        if size > 1 and count:
            before, after = (
                planes.narrow(dim, start - back, count),
                planes.narrow(dim, start + ahead, count),
            )
            torch.sub(before, after, out=slope.narrow(dim, start, count))
    return slope if size > 1 else slope.zero_()


def _halved(even: Tensor, odd: Tensor, dim: int, *, cosited: bool) -> Tensor:
    if not cosited:
        return torch.lerp(even, odd, 0.5)
    detail, size = odd.sub(even, alpha=0.5), even.shape[dim] - 1
    detail.narrow(dim, 0, size).sub_(even.narrow(dim, 1, size), alpha=0.5)
    detail.select(dim, size).sub_(even.select(dim, size), alpha=0.5)
    smooth = even.add(detail, alpha=0.25)
    smooth.narrow(dim, 1, size).add_(detail.narrow(dim, 0, size), alpha=0.25)
    smooth.select(dim, 0).add_(detail.select(dim, 0), alpha=0.25)
    return smooth


def _even_number(planes: Tensor, dim: int) -> Tensor:
    size = planes.shape[dim]
    return torch.cat([planes, planes.narrow(dim, size - 1, 1)], dim) if size % 2 else planes
