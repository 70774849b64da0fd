"""Padding frames of odd size for encoders that need even sizes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Repeat the last row and column of (T, 3, H, W) up to a size; unchanged if it has it."""
    rows, columns = size[0] - frames.shape[2], size[1] - frames.shape[3]
    if not rows and not columns:
        return frames
    return F.pad(frames, (0, columns, 0, rows), mode="replicate")
