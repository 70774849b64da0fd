"""Enlargement, learnt and not.

B batch, K features, H, W size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import channels_last, conv3x3
from vsr.models.ops.fused import conv_leaky_relu
from vsr.models.ops.imresize import cubic


def bicubic_filter(scale: int) -> Tensor:
    """Bicubic enlargement by an integer as one convolution in front of a pixel shuffle.

    Args:
        scale: Output size over input size.

    Returns:
        (3 scale², 1, 5, 5), float32, for one group a colour: every output pixel of a cell as a
        weighting of the 5x5 input pixels around it; Keys' cubic with a = -0.5.
    """
    offset = (torch.arange(scale) + 0.5) / scale - 0.5
    taps = cubic(offset[:, None] - torch.arange(-2, 3))
    cell = torch.einsum("py,qx->pqyx", taps, taps).reshape(scale**2, 1, 5, 5)
    return cell.repeat(3, 1, 1, 1)


class PixelShuffleUpsampling(nn.Module):
    """The published networks' way from features to pixels, x4: two pixel shuffles.

    A base class and no part, because in their checkpoints these layers have no name of their own
    in front: ``upconv1``, ``upconv2``, ``conv_hr``, ``conv_last``.
    """

    upconv1: nn.Conv2d
    upconv2: nn.Conv2d
    conv_hr: nn.Conv2d
    conv_last: nn.Conv2d

    def declare_upsampling(self, num_feat: int) -> None:
        """Make the layers, for features of this width."""
        self.upconv1 = conv3x3(num_feat, num_feat * 4)
        self.upconv2 = conv3x3(num_feat, 64 * 4)
        self.conv_hr = conv3x3(64, 64)
        self.conv_last = conv3x3(64, 3)

    def upsample(self, feat_BKHW: Tensor) -> Tensor:
        """(B, 3, 4 H, 4 W), float32: the features' residual, to be added to an enlarged frame."""
        for upconv in (self.upconv1, self.upconv2):
            # A shuffle only moves values, so that the activation may come before it.
            feat_BKHW = channels_last(F.pixel_shuffle(conv_leaky_relu(upconv, feat_BKHW), 2))
        residue: Tensor = self.conv_last(conv_leaky_relu(self.conv_hr, feat_BKHW))
        return residue.float()

    def upsample_onto(self, frame_BCHW: Tensor, feat_BKHW: Tensor) -> Tensor:
        """(B, 3, 4 H, 4 W): the frame, enlarged bilinearly, plus the residual from the features."""
        base = F.interpolate(frame_BCHW, scale_factor=4, mode="bilinear", align_corners=False)
        return base.add_(self.upsample(feat_BKHW))
