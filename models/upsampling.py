"""Enlargement, learnt and not.

B batch, K features, H, W size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.fused import conv_leaky_relu
from vsr.models.imresize import cubic
from vsr.models.layers import channels_last


def bicubic_filter(scale: int) -> Tensor:
    """Bicubic enlargement by an integer as one convolution in front of a pixel shuffle.

    Args:
        scale: Output size over input size.

    Returns:
        (3 scale², 3, 5, 5), float32: every output pixel of a cell as a weighting of the 5x5 input
        pixels around it; Keys' cubic with a = -0.5.
    """
    offset = (torch.arange(scale) + 0.5) / scale - 0.5
    taps = cubic(offset[:, None] - torch.arange(-2, 3))
    cell = torch.einsum("py,qx->pqyx", taps, taps).reshape(scale**2, 5, 5)
    kernel = torch.zeros(3, scale**2, 3, 5, 5)
    for colour in range(3):
        kernel[colour, :, colour] = cell
    return kernel.flatten(0, 1)


def shuffle_up(
    feat_BKHW: Tensor,
    upconv1: nn.Conv2d,
    upconv2: nn.Conv2d,
    conv_hr: nn.Conv2d,
    conv_last: nn.Conv2d,
) -> Tensor:
    """The published networks' way from features to a x4 residue: two pixel shuffles.

    Returns:
        (B, 3, 4 H, 4 W), float32.
    """
    for upconv in (upconv1, upconv2):
        # A shuffle only moves values, so that the activation may come before it.
        feat_BKHW = channels_last(F.pixel_shuffle(conv_leaky_relu(upconv, feat_BKHW), 2))
    feat_BKHW = conv_leaky_relu(conv_hr, feat_BKHW)
    residue: Tensor = conv_last(feat_BKHW)
    return residue.float()
