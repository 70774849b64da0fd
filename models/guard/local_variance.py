"""Relative local variance: where two restorations of a frame have the same texture (DeSRA).

Xie et al., "DeSRA: Detect and Delete the Artifacts of GAN-based Real-World Super-Resolution
Models", ICML 2023, section 3.2; repository TencentARC/DeSRA, Apache-2.0. With the deviations a and
b of both pictures in a Gaussian window, of values from 0 to 255:

    D = (2 a b + C) / (a² + b² + C)          1: the same texture, 0: one of them has none

A CPU multiplies matrices faster than it convolves single planes: along each axis, blocks of pixels
are multiplied by a matrix that has the window in each of its rows. Bands of rows keep what lies
between in the cache.

C colour, H, W size of the pictures, P the planes of means: both pictures and their squares.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
"""Side and deviation of the Gaussian window in pixels."""

MARGIN = WINDOW // 2
"""Pixels at each side of a picture for which there is no whole window."""

CONSTANT = 0.03**2
"""C of values from 0 to 1: deviations far below its root, 7.65 levels of 255, count as none."""

BLOCK = 32
"""Pixels along an axis that one product gives the means of."""


def texture_similarity(vivid_CHW: Tensor, faithful_CHW: Tensor, step: int = 1) -> Tensor:
    """Similarity of the textures of two restorations of a frame.

    Args:
        vivid_CHW: (C, H, W) in [0, 1], float32, sides of at least 11: one colour, or three.
        faithful_CHW: The same.
        step: Every so many-th pixel is judged, along both axes; ``BLOCK`` is a multiple of it.

    Returns:
        (H - 10, W - 10), over ``step`` and rounded up: D above, the mean of the colours'; its first
        value belongs to pixel (5, 5).
    """
    colours = zip(vivid_CHW.unbind(), faithful_CHW.unbind(), strict=True)
    similarity = sum(_of_colour(torch.stack(pair, 1), step) for pair in colours)
    assert isinstance(similarity, Tensor)
    return similarity / len(vivid_CHW)


def _of_colour(pair_H2W: Tensor, step: int) -> Tensor:
    """D of one colour."""
    height, width = pair_H2W.shape[0] - 2 * MARGIN, pair_H2W.shape[2] - 2 * MARGIN
    # About zero, where squares keep more digits; whole blocks along rows.
    pair_H2W = F.pad(pair_H2W.sub_(0.5), (0, -width % BLOCK))
    weights = _weights(step, pair_H2W)
    bands = []
    for top in range(0, height, BLOCK):
        band_H2W = pair_H2W[top : top + BLOCK + 2 * MARGIN]
        means_HPW = _means(torch.cat([band_H2W, band_H2W.square()], 1), weights)
        bands.append(_similarity(means_HPW))
    return torch.cat(bands)[:, : -(-width // step)]


def _weights(step: int, like: Tensor) -> Tensor:
    """(BLOCK / step, BLOCK + 10): a row for the mean around each pixel of a block."""
    offset = torch.arange(WINDOW, dtype=torch.float64, device=like.device) - MARGIN
    taps = torch.exp(-offset.square() / (2 * SIGMA**2))
    taps = (taps / taps.sum()).to(like)
    weights = like.new_zeros(BLOCK // step, BLOCK + 2 * MARGIN)
    for row, start in enumerate(range(0, BLOCK, step)):
        weights[row, start : start + WINDOW] = taps
    return weights


def _means(planes_HPW: Tensor, weights: Tensor) -> Tensor:
    """Means in the windows, of a band of at most a block's rows with their margins."""
    height, planes, width = planes_HPW.shape
    step = BLOCK // len(weights)
    rows = -(-(height - 2 * MARGIN) // step)
    down = weights[:rows, :height] @ planes_HPW.view(height, -1)
    blocks = down.view(rows * planes, width).unfold(1, BLOCK + 2 * MARGIN, BLOCK)
    return (blocks.reshape(-1, BLOCK + 2 * MARGIN) @ weights.T).view(rows, planes, -1)


def _similarity(means_HPW: Tensor) -> Tensor:
    """D from the means of both pictures and of their squares."""
    means, squares = means_HPW[:, :2], means_HPW[:, 2:]
    vivid_HW, faithful_HW = squares.addcmul_(means, means, value=-1).clamp_(min=0).unbind(1)
    like = (vivid_HW * faithful_HW).sqrt_().mul_(2).add_(CONSTANT)
    return like.div_((vivid_HW + faithful_HW).add_(CONSTANT))
