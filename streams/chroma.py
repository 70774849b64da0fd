"""Chroma planes up to the size of luma and back, with the samples where the tag puts them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
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


def upsample(
    chroma: Tensor, shifts: tuple[int, int], siting: Siting, size: tuple[int, int]
) -> Tensor:
    """Bilinear, from subsampled planes to the size of luma.

    Args:
        chroma: (T, C, rows, columns), floating.
        shifts: How often rows and columns are halved: 0 or 1 each.
        siting: Where the samples lie.
        size: Rows and columns of luma, also odd ones.

    Returns:
        (T, C, height, width); the input itself where nothing is subsampled.
    """
    height, width = size
    if shifts[0]:
        chroma = _double(chroma, dim=2, cosited=siting.rows)[:, :, :height]
    if shifts[1]:
        chroma = _double(chroma, dim=3, cosited=siting.columns)[..., :width]
    return chroma


def downsample(pixels: Tensor, shifts: tuple[int, int], siting: Siting) -> Tensor:
    """Halve rows and columns as ``shifts`` says: a triangle on cosited axes, else the mean of two.

    Args:
        pixels: (T, C, height, width), floating; odd sizes are extended by their last row or column.
        shifts: How often rows and columns are halved: 0 or 1 each.
        siting: Where the new samples lie.

    Returns:
        (T, C, rows, columns).
    """
    if shifts[0]:
        pixels = _halve(pixels, dim=2, cosited=siting.rows)
    if shifts[1]:
        pixels = _halve(pixels, dim=3, cosited=siting.columns)
    return pixels


def _double(planes: Tensor, *, dim: int, cosited: bool) -> Tensor:
    size = list(planes.shape[2:])
    if not cosited:
        size[dim - 2] *= 2
        return F.interpolate(planes, size=size, mode="bilinear", align_corners=False)
    # With the last sample repeated, aligned corners put sample i exactly on luma sample 2i.
    planes = torch.cat([planes, planes.narrow(dim, planes.shape[dim] - 1, 1)], dim)
    size[dim - 2] = 2 * size[dim - 2] + 1
    return F.interpolate(planes, size=size, mode="bilinear", align_corners=True)


def _halve(pixels: Tensor, *, dim: int, cosited: bool) -> Tensor:
    if pixels.shape[dim] % 2:
        pixels = torch.cat([pixels, pixels.narrow(dim, pixels.shape[dim] - 1, 1)], dim)
    even, odd = _every_other(pixels, dim, 0), _every_other(pixels, dim, 1)
    if not cosited:
        return even.add(odd).mul_(0.5)
    halved = even.add(odd, alpha=0.5)
    last = halved.shape[dim]
    halved.narrow(dim, 1, last - 1).add_(odd.narrow(dim, 0, last - 1), alpha=0.5)
    halved.narrow(dim, 0, 1).add_(even.narrow(dim, 0, 1), alpha=0.5)
    return halved.mul_(0.5)


def _every_other(pixels: Tensor, dim: int, first: int) -> Tensor:
    return pixels[:, :, first::2] if dim == 2 else pixels[..., first::2]
