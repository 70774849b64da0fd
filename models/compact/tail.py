"""The end of ``compact``: features at half the input's size to restored pixels.

B batch, K features; H, W input size; h, w half of it.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.compact.branch import SHUFFLE
from vsr.models.layers.blocks import channels_last, conv3x3, hidden_conv3x3
from vsr.models.layers.upsampling import bicubic_filter
from vsr.models.ops.fused import conv_relu
from vsr.models.ops.space_to_depth import into_image, pixel_shuffled


class Tail(nn.Module):
    """Features at half the size to the output, on top of the bicubic frame.

    Args:
        num_feat: Features of the input.
        num_tail: Features at the input's size.
        scale: Output size over input size.
    """

    def __init__(self, num_feat: int, num_tail: int, scale: int) -> None:
        super().__init__()
        self.up = hidden_conv3x3(num_feat, num_tail * SHUFFLE**2)
        self.hidden = hidden_conv3x3(num_tail, num_tail)
        self.last = conv3x3(num_tail, 3 * scale**2)
        nn.init.zeros_(self.last.weight)
        self.base = Bicubic(scale)

    def forward(self, feat_BKhw: Tensor, frame_BCHW: Tensor, into_BCHW: Tensor) -> None:
        """Write one restored frame."""
        feat = conv_relu(self.hidden, pixel_shuffled(conv_relu(self.up, feat_BKhw)))
        into_image(self.base(frame_BCHW).add_(self.last(feat)), into_BCHW)


class Bicubic(nn.Module):
    """Frames enlarged, (B, 3 scale², H, W), in cells; a convolution is fastest."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.register_buffer("kernel", bicubic_filter(scale), persistent=False)

    def forward(self, frame_BCHW: Tensor) -> Tensor:
        kernel: Tensor = self.get_buffer("kernel").float()
        around = kernel.shape[-1] // 2
        framed = F.pad(frame_BCHW.float(), (around,) * 4, mode="replicate")
        return F.conv2d(channels_last(framed), kernel, groups=3)
