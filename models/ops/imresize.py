"""Bicubic resizing as MATLAB's ``imresize`` does it, the degradation "BI" of every published table.

Keys' cubic with a = -0.5, widened by the scale when shrinking (antialiasing), borders reflected
with the edge pixel repeated. OpenCV's and PyTorch's bicubic differ in all three.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

_REACH = 2
"""Pixels on either side that the kernel reaches when enlarging."""

_BLOCK = 8
"""Columns that are enlarged by one product of matrices, most of whose weights are zeros."""

_CACHED_BYTES = 1 << 20
"""On a CPU so many planes at a time that what lies between stays in its cache."""


def imresize(image: Tensor, scale: Fraction | float) -> Tensor:
    """Resize the last two axes.

    Args:
        image: (..., H, W), floating point, any range.
        scale: Output size over input size; the output is ceil(side * scale) long.

    Returns:
        (..., ceil(H * scale), ceil(W * scale)), neither clamped nor rounded: cubic overshoot stays.
    """
    exact = Fraction(scale).limit_denominator(1000)
    if exact.denominator == 1 and exact > 1:
        return _enlarge(image, int(exact))
    height, width = (math.ceil(side * exact) for side in image.shape[-2:])
    rows = _weights(image.shape[-2], height, exact).to(image)
    columns = _weights(image.shape[-1], width, exact).to(image)
    return rows @ image @ columns.mT


def quantise(image: Tensor) -> Tensor:
    """Round [0, 1] to an 8-bit image's values, as MATLAB's ``uint8`` does: halves go up."""
    return image.clamp(0, 1).mul(255).add(0.5).floor().div(255)


def _enlarge(image: Tensor, scale: int) -> Tensor:
    """Enlarge both axes: the same weights serve every input pixel's ``scale`` outputs."""
    height, width = image.shape[-2:]
    enlarged = image.new_empty((*image.shape[:-2], height * scale, width * scale))
    sources, targets = image.reshape(-1, height, width), enlarged.view(-1, *enlarged.shape[-2:])
    step = len(sources)
    if image.device.type == "cpu":
        step = max(1, _CACHED_BYTES // (4 * height * width * scale))
    for source, target in zip(torch.split(sources, step), torch.split(targets, step), strict=True):
        exact = source.float() if source.element_size() < 4 else source
        around = _surrounded(_surrounded(exact, 1, height), 2, -(-width // _BLOCK) * _BLOCK)
        target.copy_(_widened(_heightened(around, scale), scale)[..., : width * scale])
    return enlarged


def _surrounded(planes: Tensor, dim: int, size: int) -> Tensor:
    """Reflect an axis at its ends: ``_REACH`` before it, and as far beyond ``size`` after it."""
    inside = planes.shape[dim]
    before = torch.arange(-_REACH, 0, device=planes.device)
    after = torch.arange(inside, size + _REACH, device=planes.device)
    first, last = (planes.index_select(dim, _reflect(at, inside)) for at in (before, after))
    return torch.cat([first, planes, last], dim)


def _heightened(around: Tensor, scale: int) -> Tensor:
    """Enlarge surrounded rows, (N, H + 2 * _REACH, W)."""
    num, height, width = len(around), around.shape[1] - 2 * _REACH, around.shape[2]
    cells = around.new_empty((num, height, scale, width))
    for place, taps in enumerate(_phases(scale)):
        (first, weight), *others = taps
        value = around.narrow(1, first, height) * weight
        for tap, weight in others:
            value.add_(around.narrow(1, tap, height), alpha=weight)
        cells.select(2, place).copy_(value)
    return cells.view(num, height * scale, width)


def _widened(around: Tensor, scale: int) -> Tensor:
    """Enlarge surrounded columns, whole blocks of them.

    A product of matrices writes the outputs of a pixel beside each other. One after the other, a
    stride apart, they took 1.3 times as long at scale 2, and 3 times at scale 4.
    """
    if around.device.type == "cpu":
        weights = _cached_block(scale).to(around.dtype, copy=True)
    else:
        weights = _block(scale, around.device).to(around.dtype)
    blocks = around.unfold(2, _BLOCK + 2 * _REACH, _BLOCK)
    return (blocks.reshape(-1, len(weights)) @ weights).view(*around.shape[:2], -1)


@lru_cache(maxsize=8)
def _cached_block(scale: int) -> Tensor:
    return _block(scale, torch.device("cpu"))


def _block(scale: int, device: torch.device) -> Tensor:
    """Weights of a block of pixels for its outputs: (_BLOCK + 2 * _REACH, _BLOCK * scale).

    They are made where they are needed: to send them, the host would wait for the device.
    """
    weights = torch.zeros(_BLOCK + 2 * _REACH, _BLOCK, scale, dtype=torch.float64, device=device)
    for place, taps in enumerate(_phases(scale)):
        for tap, weight in taps:
            weights[tap : tap + _BLOCK, :, place].fill_diagonal_(weight)
    return weights.flatten(1)


@lru_cache(maxsize=8)
def _phases(scale: int) -> tuple[tuple[tuple[int, float], ...], ...]:
    """For each output of a cell, the inputs within ``_REACH`` that count, and their weights."""
    offset = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    weight = cubic(offset[:, None] - torch.arange(-_REACH, _REACH + 1))
    return tuple(tuple((tap, w) for tap, w in enumerate(row) if w) for row in weight.tolist())


@lru_cache(maxsize=32)
def _weights(size_in: int, size_out: int, scale: Fraction) -> Tensor:
    """One axis as a (size_out, size_in) matrix; float64, so that it can be cast to any type."""
    shrink = min(float(scale), 1.0)
    support = 4 / shrink
    centre = (torch.arange(size_out, dtype=torch.float64) + 0.5) / float(scale) - 0.5
    first = torch.floor(centre - support / 2)
    taps = first[:, None] + torch.arange(math.ceil(support) + 2)
    weight = cubic((centre[:, None] - taps) * shrink)
    weight = weight / weight.sum(1, keepdim=True)
    return torch.zeros(size_out, size_in, dtype=torch.float64).scatter_add_(
        1, _reflect(taps.long(), size_in), weight
    )


def cubic(x: Tensor) -> Tensor:
    """Keys' interpolation kernel with a = -0.5 (Keys 1981, eq. 15), zero beyond 2."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))


def _reflect(index: Tensor, size: int) -> Tensor:
    """Indices outside [0, size) mirrored about the edges, the edge pixel itself repeated."""
    folded = index.remainder(2 * size)
    return torch.where(folded < size, folded, 2 * size - 1 - folded)
