"""Sampling along optical flow.

B batch, K features, H height, W width; h, w cells of c x c pixels (``cells``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.ops.cpu_sampling import Padding, gather, gather_cells, gathers
from vsr.models.ops.space_to_depth import doubled_cells


def warp(feat_BKHW: Tensor, flow_B2HW: Tensor, padding: Padding = "zeros") -> Tensor:
    """Sample features where the flow points, bilinearly.

    Args:
        feat_BKHW: Features of the neighbour frame.
        flow_B2HW: Displacement in pixels, x first, from this frame to the neighbour; float32.
        padding: Values outside: zeros, or the nearest pixel of the border.

    Returns:
        (B, K, H, W), dtype of the features. Grid and interpolation are float32 whatever the
        features are: a float16 grid is off by 0.7 px at width 1920.
    """
    if gathers(feat_BKHW):
        return gather(feat_BKHW, flow_B2HW, padding).to(feat_BKHW.dtype)
    sampled = F.grid_sample(
        feat_BKHW.float(),
        _sampling_grid(flow_B2HW),
        mode="bilinear",
        padding_mode=padding,
        align_corners=True,
    )
    return sampled.to(feat_BKHW.dtype)


def warp_sharply(image_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Sample an image where the flow points, bicubically; the nearest pixel of the border outside.

    Bilinear samples between pixels are blurred, and the more so the more often an image is moved.

    Args:
        image_BCHW: The neighbour frame; float32.
        flow_B2HW: As for ``warp``.

    Returns:
        (B, C, H, W), float32; beside edges it may overshoot the image's range.
    """
    return F.grid_sample(
        image_BCHW,
        _sampling_grid(flow_B2HW),
        mode="bicubic",
        padding_mode="border",
        align_corners=True,
    )


def warp_cells(feat_BKhw: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Sample features that are kept in cells of 2 x 2 pixels as images of the flow's size.

    Args:
        feat_BKhw: Features of the neighbour frame; the first quarter of the channels belongs to the
            upper left pixel of a cell, then come the upper right, the lower left and the last.
        flow_B2HW: Displacement in pixels of the images, x first; float32.

    Returns:
        (B, K, h, w), float32, channels-last; zeros from outside.
    """
    if gathers(feat_BKhw):
        return gather_cells(feat_BKhw, flow_B2HW)
    batch, num_feat, *size = feat_BKhw.shape
    by_pixel = feat_BKhw.float().reshape(batch, 4, num_feat // 4, *size)
    image = F.pixel_shuffle(by_pixel.transpose(1, 2).flatten(1, 2), 2)
    moved = F.pixel_unshuffle(warp(image, flow_B2HW), 2).view(batch, num_feat // 4, 4, *size)
    cells = moved.transpose(1, 2).flatten(1, 2)
    return cells.contiguous(memory_format=torch.channels_last)


def doubled_places(flow_B2HW: Tensor, cell: int) -> Tensor:
    """Places in a neighbour of the pixels of an image twice the flow's size, in cells.

    Args:
        flow_B2HW: Displacement in pixels of its own size, x first; float32.
        cell: c, 2 or 4; H and W are multiples of half of it.

    Returns:
        (B, h, w, c², 2), x first, normalised so that -1 and 1 are the outer edges: it fits a
        neighbour of either size.
    """
    height, width = flow_B2HW.shape[-2:]
    framed = F.pad(flow_B2HW, (1,) * 4, mode="replicate")
    # Positions go on evenly outside, where the flow stays as it is on the border.
    x = torch.add(_centres(width, flow_B2HW), framed[:, 0], alpha=2 / width)
    y = torch.add(_centres(height, flow_B2HW)[:, None], framed[:, 1], alpha=2 / height)
    return doubled_cells(torch.stack([x, y], 1), cell).flatten(3, 4)


def sample(image_BKHW: Tensor, places_BhwP2: Tensor) -> Tensor:
    """Sample an image bilinearly at ``doubled_places``; what lies outside is the border's.

    Returns:
        (B, K c², h, w), float32, channels-last: the image in cells, colour by colour.
    """
    batch, height, width, pixels, _ = places_BhwP2.shape
    parts = _num_parts(image_BKHW, height)
    found = F.grid_sample(
        image_BKHW.float().expand(parts * batch, -1, -1, -1),
        places_BhwP2.reshape(parts * batch, height // parts, -1, 2),  # meta: in another order
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    cells = found.view(parts * batch, -1, height // parts, width, pixels).permute(0, 2, 3, 1, 4)
    return cells.reshape(batch, height, width, -1).permute(0, 3, 1, 2)


def _num_parts(image_BKHW: Tensor, height: int) -> int:
    """Equal parts of a lone image's rows to sample side by side: CPU threads share only images."""
    if len(image_BKHW) > 1 or image_BKHW.device.type != "cpu":
        return 1
    threads = torch.get_num_threads()
    return max(n for n in range(1, threads + 1) if height % n == 0)


def _sampling_grid(flow_B2HW: Tensor) -> Tensor:
    """Absolute sampling positions (B, H, W, 2), normalised so that -1 and 1 are pixel centres."""
    height, width = flow_B2HW.shape[-2:]
    flow = flow_B2HW.float()
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1]
    grid = (x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1)
    return torch.stack(grid, dim=-1)


def _centres(size: int, like: Tensor) -> Tensor:
    """Normalised positions of an axis' pixels, and of one more at either end."""
    return torch.arange(-0.5, size + 1, device=like.device) * (2 / size) - 1
