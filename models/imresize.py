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


def imresize(image: Tensor, scale: Fraction | float) -> Tensor:
    """Resize the last two axes.

    Args:
        image: (..., H, W), floating point, any range.
        scale: Output size over input size; the output is ceil(side * scale) long.

    Returns:
        (..., ceil(H * scale), ceil(W * scale)), neither clamped nor rounded: cubic overshoot stays.
    """
    exact = Fraction(scale).limit_denominator(1000)
    height, width = (math.ceil(side * exact) for side in image.shape[-2:])
    rows = _weights(image.shape[-2], height, exact).to(image)
    columns = _weights(image.shape[-1], width, exact).to(image)
    return rows @ image @ columns.mT


def quantise(image: Tensor) -> Tensor:
    """Round [0, 1] to an 8-bit image's values, as MATLAB's ``uint8`` does: halves go up."""
    return image.clamp(0, 1).mul(255).add(0.5).floor().div(255)


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
