"""Dense optical flow without learnt weights: a pyramidal Lucas-Kanade.

Lucas and Kanade 1981; Bouguet 2000. It is computed on BT.601 luma of 0 to 255:

- levels: 2x2 means while the shorter side stays at 16 or more, at most 5 in all, coarsest first;
- at each level 4 steps: the neighbour is sampled along the flow so far (bilinear, border repeated);
  the new flow of a pixel is the one displacement that fits its 9x9 surroundings best (border
  repeated), each pixel of them having moved by its own flow so far. Gradients are central
  differences of the mean of both images, 1 is added to the diagonal of the 2x2 system, and a step
  away from the mean flow of the surroundings is limited to 1 pixel a component;
- between levels the flow is enlarged bilinearly and doubled.

N pairs, C colour, H, W size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.ops.warp import warp

LUMA = (65.481, 128.553, 24.966)
"""Weights of red, green and blue in [0, 1] for luma from 16 to 235."""

LEVELS, SHORTEST_SIDE = 5, 16
STEPS = 4
WINDOW = 9
DAMPING = 1.0
"""Added to the squared gradients' mean, in squared grey levels: flat regions keep their flow."""


def estimate_flow(frames_NCHW: Tensor, neighbours_NCHW: Tensor) -> Tensor:
    """Estimate where each pixel of a frame is in its neighbour.

    Args:
        frames_NCHW: RGB in [0, 1].
        neighbours_NCHW: The same shape.

    Returns:
        (N, 2, H, W), float32, pixels, x first.
    """
    pairs = list(zip(_pyramid(frames_NCHW), _pyramid(neighbours_NCHW), strict=True))
    flow = torch.zeros_like(pairs[-1][0]).repeat(1, 2, 1, 1)
    for image, neighbour in reversed(pairs):
        if flow.shape[-2:] != image.shape[-2:]:
            size = image.shape[-2:]
            flow = 2 * F.interpolate(flow, size, mode="bilinear", align_corners=False)
        for _ in range(STEPS):
            flow = _improve(image, warp(neighbour, flow, "border"), flow)
    return flow


def visible_pixels(flow_N2HW: Tensor, backward_N2HW: Tensor) -> Tensor:
    """Mask of the pixels that are visible in the neighbour, too: (N, 1, H, W), 0 or 1.

    Args:
        flow_N2HW: From the frame to its neighbour.
        backward_N2HW: From the neighbour to the frame.
    """
    back = warp(backward_N2HW, flow_N2HW, "border")
    squares = (flow_N2HW.square() + back.square()).sum(1, keepdim=True)
    returns = (flow_N2HW + back).square().sum(1, keepdim=True) <= 0.01 * squares + 0.5
    height, width = flow_N2HW.shape[-2:]
    x = torch.arange(width, device=flow_N2HW.device) + flow_N2HW[:, :1]
    y = torch.arange(height, device=flow_N2HW.device)[:, None] + flow_N2HW[:, 1:]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return (returns & inside).float()


def _pyramid(frames_NCHW: Tensor) -> list[Tensor]:
    """Luma of 0 to 255, (N, 1, h, w), the full size first."""
    # A tensor of the weights would have to be sent to the device, which waits for it.
    red, green, blue = (
        weight * plane for weight, plane in zip(LUMA, frames_NCHW.float().unbind(1), strict=True)
    )
    levels = [(red + green + blue + 16).unsqueeze(1)]
    while len(levels) < LEVELS and min(levels[-1].shape[-2:]) >= 2 * SHORTEST_SIDE:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def _improve(image_N1HW: Tensor, warped_N1HW: Tensor, flow_N2HW: Tensor) -> Tensor:
    """The flow that fits each pixel's surroundings best, those having moved by ``flow`` so far."""
    mean = F.pad((image_N1HW + warped_N1HW) / 2, (1, 1, 1, 1), mode="replicate")
    across = (mean[..., 1:-1, 2:] - mean[..., 1:-1, :-2]) / 2
    down = (mean[..., 2:, 1:-1] - mean[..., :-2, 1:-1]) / 2
    u, v = flow_N2HW.chunk(2, 1)
    moved = image_N1HW - warped_N1HW + across * u + down * v
    products = [across * across, down * down, across * down, across * moved, down * moved, u, v]
    xx, yy, xy, xt, yt, u, v = _average(torch.cat(products, 1)).chunk(7, 1)
    xt, yt = xt - xx * u - xy * v, yt - xy * u - yy * v
    xx, yy = xx + DAMPING, yy + DAMPING
    step = torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], 1) / (xx * yy - xy * xy)
    improved: Tensor = torch.cat([u, v], 1) + step.clamp(-1, 1)
    return improved


def _average(products_NCHW: Tensor) -> Tensor:
    """Means over a square, the border repeated; one axis at a time, depthwise."""
    channels, around = products_NCHW.shape[1], WINDOW // 2
    kernel = products_NCHW.new_full((channels, 1, WINDOW, 1), 1 / WINDOW)
    padded = F.pad(products_NCHW, (around,) * 4, mode="replicate")
    padded = padded.contiguous(memory_format=torch.channels_last)
    rows = F.conv2d(padded, kernel, groups=channels)
    return F.conv2d(rows, kernel.mT, groups=channels)
