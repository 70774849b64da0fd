"""JPEG compression that gradients pass through, equal to the one Real-ESRGAN is trained with.

Baseline JPEG of 4:2:0 in float32, without rounding of pixels. The one step that has no gradient,
rounding of coefficients, passes it on unchanged.

N images, H, W size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA_TABLE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)
"""Quantisation of luma at quality 50 (ITU-T T.81, table K.1)."""

CHROMA_TABLE = torch.full((8, 8), 99.0)
CHROMA_TABLE[:4, :4] = torch.tensor(
    [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]], dtype=torch.float32
)
"""Quantisation of chroma at quality 50 (table K.2)."""

BLOCK = 8
MACROBLOCK = 16
MIDDLE = 128.0


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """Compress as JPEG and decompress.

    Args:
        images: (N, 3, H, W), RGB in [0, 1], any size; filled up with zeros to whole macroblocks.
        quality: (N,), 1 to 100, with libjpeg's meaning, fractions allowed.

    Returns:
        (N, 3, H, W), clipped to [0, 1].
    """
    height, width = images.shape[-2:]
    framed = F.pad(images, (0, -width % MACROBLOCK, 0, -height % MACROBLOCK))
    factor = _table_factor(quality.to(images))
    luma, chroma = _to_ycc(framed * 255)
    luma = _coded(luma, LUMA_TABLE.T.to(images), factor)  # on its side, as in the published code
    chroma = _coded(F.avg_pool2d(chroma, 2), CHROMA_TABLE.to(images), factor)
    rgb = _to_rgb(luma, F.interpolate(chroma, scale_factor=2, mode="nearest"))
    return rgb[..., :height, :width].clamp(0, 255) / 255


def _table_factor(quality: Tensor) -> Tensor:
    """Factor of the quantisation tables, (N,)."""
    return torch.where(quality < 50, 50 / quality, 2 - quality / 50)


def _coded(planes: Tensor, table: Tensor, factor: Tensor) -> Tensor:
    """Planes (N, C, H, W) in 0 to 255, transformed, quantised and transformed back."""
    basis = _cosines().to(planes)
    steps = (table * factor[:, None, None])[:, None, None, None]
    count, colours, height, width = planes.shape
    cells = planes.reshape(count, colours, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = cells.transpose(3, 4) - MIDDLE
    found = basis @ blocks @ basis.T / steps
    rounded = found + (found.round() - found).detach()
    back = basis.T @ (rounded * steps) @ basis + MIDDLE
    return back.transpose(3, 4).reshape(planes.shape)


def _cosines() -> Tensor:
    """The orthonormal DCT-II, (8, 8)."""
    place = torch.arange(BLOCK, dtype=torch.float64)
    basis = torch.cos(math.pi * place[:, None] * (2 * place + 1) / (2 * BLOCK)) / 2
    basis[0] /= math.sqrt(2)
    return basis


def _to_ycc(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Luma (N, 1, H, W) and chroma (N, 2, H, W) of full range (JFIF)."""
    red, green, blue = torch.split(rgb, 1, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    cb = -0.168736 * red - 0.331264 * green + 0.5 * blue + MIDDLE
    cr = 0.5 * red - 0.418688 * green - 0.081312 * blue + MIDDLE
    return luma, torch.cat([cb, cr], 1)


def _to_rgb(luma: Tensor, chroma: Tensor) -> Tensor:
    cb, cr = torch.split(chroma - MIDDLE, 1, 1)
    return torch.cat(
        [luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb], 1
    )
