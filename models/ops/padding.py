"""Padding to sizes that a network's strides divide."""

from __future__ import annotations

import torch
from torch import Tensor


def pad_to_multiple(image: Tensor, multiple: int, *, reflect: bool = False) -> Tensor:
    """Extend downwards and to the right until both sides are multiples.

    Args:
        image: (..., H, W).
        multiple: What the sides must be divisible by.
        reflect: Mirror about the last pixel, as often as needed, instead of repeating it.

    Returns:
        The padded image; the image itself if its sides are multiples already.
    """
    for axis in (-2, -1):
        side = image.shape[axis]
        if missing := -side % multiple:
            places = torch.arange(side + missing, device=image.device)
            period = max(2 * side - 2, 1)
            mirrored = side - 1 - (places % period - (side - 1)).abs()
            repeated = places.clamp(max=side - 1)
            image = image.index_select(axis, mirrored if reflect else repeated)
    return image
