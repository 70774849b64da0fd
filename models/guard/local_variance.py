"""Relative local variance: where two restorations of a frame have the same texture (DeSRA).

Xie et al., "DeSRA: Detect and Delete the Artifacts of GAN-based Real-World Super-Resolution
Models", ICML 2023, section 3.2; repository TencentARC/DeSRA, Apache-2.0. With the deviations a and
b of both pictures in a Gaussian window, of values from 0 to 255:

    D = (2 a b + C) / (a² + b² + C)          1: the same texture, 0: one of them has none

A CPU convolves a few planes slowly and a dozen channels fast: pictures are cut into upright strips,
which share the pixels that windows at their borders need, and the strips of all colours are laid
out as channels. Bands of rows keep what lies between in the cache.

C colour, H, W size of the pictures, X strips times colours.
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

CHANNELS, BAND = 12, 64
"""Strips times colours, and rows that are worked on together."""


def texture_similarity(vivid_CHW: Tensor, faithful_CHW: Tensor) -> Tensor:
    """Similarity of the textures of two restorations of a frame.

    Args:
        vivid_CHW: (C, H, W) in [0, 1], float32, sides of at least 11: one colour, or three.
        faithful_CHW: The same.

    Returns:
        (H - 10, W - 10): D above, the mean of the colours'; its first value belongs to pixel
        (5, 5).
    """
    height, width = vivid_CHW.shape[1] - 2 * MARGIN, vivid_CHW.shape[2] - 2 * MARGIN
    strips = CHANNELS // len(vivid_CHW)
    strip = -(-width // strips)
    pair = [_strips(picture, strips, strip) for picture in (vivid_CHW, faithful_CHW)]
    taps = _window(vivid_CHW)
    similarity_HWX = vivid_CHW.new_empty(height, strip, strips)
    for top in range(0, height, BAND):
        rows = slice(top, min(top + BAND, height) + 2 * MARGIN)
        of_colours_1XHW = _similarity(*(_moments(p[:, :, rows], taps) for p in pair))
        colours = of_colours_1XHW[0].permute(1, 2, 0).chunk(len(vivid_CHW), 2)
        similarity_HWX[top : top + BAND] = sum(colours) / len(colours)
    return similarity_HWX.transpose(1, 2).reshape(height, strips * strip)[:, :width]


def _strips(picture_CHW: Tensor, strips: int, strip: int) -> Tensor:
    """(1, X, H, strip + 10), channels last, about zero, whose squares keep more digits."""
    colours, height, width = picture_CHW.shape
    picture_CHW = F.pad(picture_CHW, (0, strips * strip + 2 * MARGIN - width))
    along = picture_CHW.unfold(2, strip + 2 * MARGIN, strip)
    channels = (along.permute(1, 3, 0, 2) - 0.5).contiguous()
    return channels.view(1, height, -1, colours * strips).permute(0, 3, 1, 2)


def _window(picture: Tensor) -> Tensor:
    """(WINDOW,): the weights of the window along one axis."""
    offset = torch.arange(WINDOW, dtype=torch.float64, device=picture.device) - MARGIN
    taps = torch.exp(-offset.square() / (2 * SIGMA**2))
    return (taps / taps.sum()).to(picture)


def _moments(values_1XHW: Tensor, taps: Tensor) -> Tensor:
    """The variance in the window around each pixel; 10 rows and columns less."""
    mean, square = _blurred(values_1XHW, taps), _blurred(values_1XHW.square(), taps)
    return square.addcmul_(mean, mean, value=-1).clamp_(min=0)


def _blurred(values_1XHW: Tensor, taps: Tensor) -> Tensor:
    channels = values_1XHW.shape[1]
    kernel = taps.expand(channels, 1, 1, WINDOW)
    along_columns = F.conv2d(values_1XHW, kernel.mT.contiguous(), groups=channels)
    return F.conv2d(along_columns, kernel.contiguous(), groups=channels)


def _similarity(vivid_1XHW: Tensor, faithful_1XHW: Tensor) -> Tensor:
    """D from the variances."""
    like = (vivid_1XHW * faithful_1XHW).sqrt_().mul_(2).add_(CONSTANT)
    return like.div_((vivid_1XHW + faithful_1XHW).add_(CONSTANT))
