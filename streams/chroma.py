"""Chroma planes up to the size of luma and back, with the samples where the tag puts them.

The two directions are pairs of biorthogonal spline wavelets (Cohen, Daubechies, Feauveau, 1992):
what was enlarged comes back as it was, and slopes stay slopes. Samples on luma samples are enlarged
linearly and halved by LeGall's 5/3 filter, in its lifting form; samples half-way between are halved
by the mean of two and enlarged by the filter (1 8 -1) / 8 that preserves it.

Planes are (C, rows, columns), float32; results lie in the memory of ``scratch``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vsr.streams.scratch import Scratch


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


def double_rows(bordered: Tensor, size: int, scratch: Scratch, *, cosited: bool) -> Tensor:
    """Enlarge to ``size`` rows, twice as many or one less.

    Args:
        bordered: The planes with one more row above and below: their neighbours', or at the border
            of the picture once more their own.
        size: Rows to make.
        scratch: Where to.
        cosited: Whether rows of chroma lie on rows of luma.
    """
    planes, below = bordered[:, 1:-1], bordered[:, 2:]
    count, rows, columns = planes.shape
    doubled = scratch.take((count, rows, 2, columns))
    first, second = doubled.unbind(2)
    if cosited:
        first.copy_(planes)
        torch.lerp(planes, below, 0.5, out=second)
    else:
        slope = torch.sub(bordered[:, :-2], below, out=scratch.take(planes.shape))
        _spread(planes, slope, first, second, dim=1, odd=size % 2 == 1)
    return doubled.flatten(1, 2)[:, :size]


def double_columns(planes: Tensor, size: int, scratch: Scratch, *, cosited: bool) -> Tensor:
    """Enlarge to ``size`` columns, twice as many or one less."""
    first, second = planes, scratch.take(planes.shape)
    if cosited:
        torch.lerp(planes[..., :-1], planes[..., 1:], 0.5, out=second[..., :-1])
        second[..., -1] = planes[..., -1]
    else:
        first, slope = scratch.take(planes.shape), scratch.take(planes.shape)
        before, behind = planes[..., [0]], planes[..., [-1]]
        bordered = torch.cat([before, planes, behind], 2)
        torch.sub(bordered[..., :-2], bordered[..., 2:], out=slope)
        _spread(planes, slope, first, second, dim=2, odd=size % 2 == 1)
    # Pairs of neighbours as complex numbers: torch interleaves them 9 times faster than by stack.
    pairs = torch.complex(first, second, out=scratch.take(planes.shape, torch.complex64))
    return torch.view_as_real(pairs).flatten(2)[..., :size]


def halve_rows(planes: Tensor, scratch: Scratch, *, cosited: bool) -> Tensor:
    """Reduce to half the rows; an odd last row is repeated."""
    planes = _even_number(planes, 1)
    even, odd = planes[:, ::2], planes[:, 1::2]
    halved = scratch.take(even.shape)
    if not cosited:
        return torch.lerp(even, odd, 0.5, out=halved)
    return _smooth(halved.copy_(even), scratch.take(odd.shape).copy_(odd), 1)


def halve_columns(planes: Tensor, scratch: Scratch, *, cosited: bool) -> Tensor:
    """Reduce to half the columns; an odd last one is repeated. Uses up the planes."""
    # Pairs of neighbours as numbers of 64 bits, whose halves torch tells apart faster than columns.
    pairs = _even_number(planes, 2).contiguous().view(torch.int64)
    even, odd = scratch.take(pairs.shape), scratch.take(pairs.shape)
    even.view(torch.int32).copy_(pairs)
    odd.view(torch.int32).copy_(pairs.bitwise_right_shift_(32))
    return _smooth(even, odd, 2) if cosited else torch.lerp(even, odd, 0.5, out=even)


def _spread(
    planes: Tensor, slope: Tensor, first: Tensor, second: Tensor, *, dim: int, odd: bool
) -> None:
    """Samples a quarter before and a quarter behind each one; an odd last one has none behind.

    The slope is each sample's previous minus its next.
    """
    if odd:  # the last sample is what its chroma says
        slope.select(dim, -1).zero_()
    torch.add(planes, slope, alpha=1 / 8, out=first)
    torch.sub(planes, slope, alpha=1 / 8, out=second)


def _smooth(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    """Every other sample, by the 5/3 filter, in the place of ``even``; ``odd`` is used up."""
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
