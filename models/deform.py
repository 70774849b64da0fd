"""Modulated deformable convolution (DCNv2), without compiling anything.

Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", CVPR 2019. Every tap of the
kernel samples the input at its own place plus a learnt offset, and weighs what it finds by a mask.

B batch, K input features, N output features, G deformable groups, P taps of the kernel, H, W size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def modulated_deform_conv(
    feat_BKHW: Tensor, offset_BOHW: Tensor, mask_BMHW: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Convolve at offset positions; stride 1, size kept, zeros outside.

    Args:
        feat_BKHW: Features.
        offset_BOHW: O = 2 G P: for each group, for each tap, (dy, dx) in pixels.
        mask_BMHW: M = G P: the weight of each tap, usually in [0, 1].
        weight: (N, K, k, k) with P = k², k odd.
        bias: (N,), or None.

    Returns:
        (B, N, H, W), dtype of the features. Positions are float32 whatever the features are.
    """
    batch, features, height, width = feat_BKHW.shape
    taps = weight.shape[-2] * weight.shape[-1]
    groups = mask_BMHW.shape[1] // taps
    grid = _positions(offset_BOHW, groups, weight.shape[-1])
    sampled = F.grid_sample(
        feat_BKHW.float().contiguous().view(batch * groups, -1, height, width),
        grid,
        padding_mode="zeros",
        align_corners=True,
    )
    mask = mask_BMHW.float().contiguous().view(batch * groups, 1, taps * height, width)
    columns = (sampled * mask).view(batch, features * taps, height * width).to(weight.dtype)
    out = weight.flatten(1) @ columns
    if bias is not None:
        out = out + bias[:, None]
    return out.view(batch, -1, height, width).to(feat_BKHW.dtype)


def _positions(offset_BOHW: Tensor, groups: int, size: int) -> Tensor:
    """Where every tap samples: (B G, P H, W, 2), x first, -1 and 1 at the outer pixels' centres."""
    batch, _, height, width = offset_BOHW.shape
    offset = offset_BOHW.float().contiguous().view(batch * groups, -1, 2, height, width)
    step = torch.arange(size, device=offset.device, dtype=torch.float32) - size // 2
    tap_y, tap_x = step.repeat_interleave(size), step.repeat(size)
    y = torch.arange(height, device=offset.device, dtype=torch.float32)[:, None]
    x = torch.arange(width, device=offset.device, dtype=torch.float32)
    y = y + tap_y[:, None, None] + offset[:, :, 0]
    x = x + tap_x[:, None, None] + offset[:, :, 1]
    grid = (x * (2 / max(width - 1, 1)) - 1, y * (2 / max(height - 1, 1)) - 1)
    return torch.stack(grid, -1).flatten(1, 2)


class DeformConv(nn.Module):
    """A deformable convolution that finds its offsets and masks in other features.

    Args:
        num_feat: Features in and out.
        groups: Deformable groups.
    """

    def __init__(self, num_feat: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_feat, num_feat, 3, 3))
        self.bias = nn.Parameter(torch.zeros(num_feat))
        self.conv_offset = nn.Conv2d(num_feat, groups * 27, 3, padding=1)
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        # No offset and half of every tap at the start, as in the paper.
        nn.init.zeros_(self.conv_offset.weight)
        if self.conv_offset.bias is not None:
            nn.init.zeros_(self.conv_offset.bias)

    def forward(self, feat_BKHW: Tensor, guide_BKHW: Tensor) -> Tensor:
        """Sample ``feat`` where ``guide`` says."""
        first, second, mask = self.conv_offset(guide_BKHW).float().chunk(3, 1)
        offset = torch.cat([first, second], 1)
        return modulated_deform_conv(feat_BKHW, offset, mask.sigmoid(), self.weight, self.bias)
