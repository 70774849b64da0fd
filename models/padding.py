"""Sizes that a network's strides divide."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples.

    Args:
        image: (..., C, H, W).
        multiple: What the sides must be divisible by.

    Returns:
        The image itself where nothing is missing.
    """
    height, width = image.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return image
    flat = image.reshape(-1, *image.shape[-3:])
    padded = F.pad(flat, (0, right, 0, down), mode="replicate")
    return padded.reshape(*image.shape[:-2], height + down, width + right)
