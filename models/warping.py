"""Sampling along optical flow.

B batch, K features, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(
    feat_BKHW: Tensor, flow_B2HW: Tensor, padding: Literal["zeros", "border"] = "zeros"
) -> Tensor:
    """Sample features where the flow points, bilinearly.

    Args:
        feat_BKHW: Features of the neighbour frame.
        flow_B2HW: Displacement in pixels, x first, from this frame to the neighbour; float32.
        padding: What lies outside: zeros, or the nearest pixel of the border.

    Returns:
        (B, K, H, W), dtype of the features. Grid and interpolation are float32 whatever the
        features are: a float16 grid is off by 0.7 px at width 1920.
    """
    sampled = F.grid_sample(
        feat_BKHW.float(),
        _sampling_grid(flow_B2HW),
        mode="bilinear",
        padding_mode=padding,
        align_corners=True,
    )
    return sampled.to(feat_BKHW.dtype)


def doubled_grid(flow_B2HW: Tensor) -> Tensor:
    """Where the pixels of an image twice the flow's size are in a neighbour.

    Args:
        flow_B2HW: Displacement in pixels of its own size, x first; float32.

    Returns:
        (B, 2 H, 2 W, 2), x first, normalised so that -1 and 1 are the outer edges: it fits a
        neighbour of either size.
    """
    shift = F.interpolate(flow_B2HW, scale_factor=2, mode="bilinear", align_corners=False)
    height, width = shift.shape[-2:]
    grid = shift.new_empty((len(shift), height, width, 2))
    grid[..., 0] = torch.add(_centres(width, shift), shift[:, 0], alpha=4 / width)
    grid[..., 1] = torch.add(_centres(height, shift)[:, None], shift[:, 1], alpha=4 / height)
    return grid


def sample(image_BKHW: Tensor, grid: Tensor) -> Tensor:
    """Sample an image bilinearly at the places of ``doubled_grid``; float32.

    What lies outside is the nearest pixel of the border.
    """
    return F.grid_sample(
        image_BKHW.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _sampling_grid(flow_B2HW: Tensor) -> Tensor:
    """Absolute sampling positions (B, H, W, 2), normalised so that -1 and 1 are pixel centres."""
    height, width = flow_B2HW.shape[-2:]
    flow = flow_B2HW.float()
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1]
    grid = (x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1)
    return torch.stack(grid, dim=-1)


def _centres(size: int, like: Tensor) -> Tensor:
    """Normalised positions of a row's pixels."""
    return torch.arange(0.5, size, device=like.device) * (2 / size) - 1
