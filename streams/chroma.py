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
    """Enlarge (C, rows, columns), floating, to ``size`` rows, twice as many or one less."""
    rows = planes.shape[1]
    first, second = _doubled(planes, size, 1, cosited=cosited)
    doubled = torch.stack((first, second), 2).view(len(planes), 2 * rows, planes.shape[2])
    return doubled[:, :size]


def double_columns(planes: Tensor, size: int, *, cosited: bool) -> Tensor:
    """Enlarge (C, rows, columns), float32, to ``size`` columns, twice as many or one less."""
    first, second = _doubled(planes, size, 2, cosited=cosited)
    # Pairs of neighbours as complex numbers: torch interleaves them 20 times faster than by stack.
    return torch.view_as_real(torch.complex(first, second)).flatten(2)[..., :size]


def halve_rows(planes: Tensor, *, cosited: bool) -> Tensor:
    """Reduce (C, rows, columns), floating, to half the rows; an odd last row is repeated."""
    planes = _even_number(planes, 1)
    return _halved(planes[:, ::2], planes[:, 1::2], 1, cosited=cosited)


def halve_columns(planes: Tensor, *, cosited: bool) -> Tensor:
    """Reduce (C, rows, columns), floating, to half the columns; an odd last one is repeated."""
    planes = _even_number(planes, 2)
    even, odd = planes[..., ::2].contiguous(), planes[..., 1::2].contiguous()
    return _halved(even, odd, 2, cosited=cosited)


def _doubled(planes: Tensor, size: int, dim: int, *, cosited: bool) -> tuple[Tensor, Tensor]:
    """The first and the second of each pair of samples."""
    if cosited:
        return planes, torch.lerp(planes, _neighbour(planes, dim, 1), 0.5)
    slope = _neighbour(planes, dim, -1).sub_(_neighbour(planes, dim, 1)).mul_(1 / 8)
    if size % 2:  # the last sample has no pair: it is what its chroma says
        slope.select(dim, -1).zero_()
    return planes + slope, planes - slope


def _halved(even: Tensor, odd: Tensor, dim: int, *, cosited: bool) -> Tensor:
    if not cosited:
        return even.add(odd).mul_(0.5)
    detail = odd.sub(even, alpha=0.5).sub_(_neighbour(even, dim, 1), alpha=0.5)
    return even.add(detail, alpha=0.25).add_(_neighbour(detail, dim, -1), alpha=0.25)


def _neighbour(planes: Tensor, dim: int, step: int) -> Tensor:
    """Each sample's next (1) or previous (-1), the border repeated; new memory."""
    size = planes.shape[dim]
    found = torch.empty_like(planes)
    target, border = (0, size - 1) if step > 0 else (1, 0)
    source = max(step, 0)
    found.narrow(dim, target, size - 1).copy_(planes.narrow(dim, source, size - 1))
    found.narrow(dim, border, 1).copy_(planes.narrow(dim, border, 1))
    return found


def _even_number(planes: Tensor, dim: int) -> Tensor:
    size = planes.shape[dim]
    return torch.cat([planes, planes.narrow(dim, size - 1, 1)], dim) if size % 2 else planes
