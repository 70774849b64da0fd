"""Enlargement without learning."""

from __future__ import annotations

import torch
from torch import Tensor

from vsr.models.imresize import cubic


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
