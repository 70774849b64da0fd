"""Enlargement, learnt and not.

B batch, K features, H, W size.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import channels_last, conv3x3
from vsr.models.ops.fused import NEGATIVE_SLOPE, conv_leaky_relu
from vsr.models.ops.imresize import cubic
from vsr.models.ops.int8_conv import HIGHEST, Int8Conv, in_steps, to_levels, unsigned
from vsr.models.ops.space_to_depth import pixel_shuffled


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


class UpsamplingRanges(nn.Module):
    """Activation ranges of an enlargement, for its int8 form.

    Attributes:
        doubled_K: Range of the features after the first pixel shuffle.
        quadrupled_K: The same after the second.
    """

    doubled_K: Tensor
    quadrupled_K: Tensor

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.register_buffer("doubled_K", torch.ones(num_feat))
        self.register_buffer("quadrupled_K", torch.ones(NUM_HIGH))


NUM_HIGH = 64
"""Features at the output's size, whatever the network's width is."""


class PixelShuffleUpsampling(nn.Module):
    """The published networks' way from features to pixels, x4: two pixel shuffles.

    A base class and no part, because in their checkpoints these layers have no name of their own
    in front: ``upconv1``, ``upconv2``, ``conv_hr``, ``conv_last``.
    """

    upconv1: nn.Conv2d
    upconv2: nn.Conv2d
    conv_hr: nn.Conv2d
    conv_last: nn.Conv2d
    upsampling_ranges: UpsamplingRanges | None
    int8_upsampling: Int8Upsampling | None

    def declare_upsampling(self, num_feat: int, *, has_ranges: bool = False) -> None:
        """Make the layers, for features of this width; with ranges there is an int8 form."""
        self.upconv1 = conv3x3(num_feat, num_feat * 4)
        self.upconv2 = conv3x3(num_feat, NUM_HIGH * 4)
        self.conv_hr = conv3x3(NUM_HIGH, NUM_HIGH)
        self.conv_last = conv3x3(NUM_HIGH, 3)
        self.upsampling_ranges = UpsamplingRanges(num_feat) if has_ranges else None
        self.int8_upsampling = None

    def upsample(self, feat_BKHW: Tensor) -> Tensor:
        """(B, 3, 4 H, 4 W), float32: the features' residual, to be added to an enlarged frame."""
        if self.int8_upsampling is not None:
            return self.conv_last(self.int8_upsampling(feat_BKHW)).float()  # type: ignore[no-any-return]
        for upconv in (self.upconv1, self.upconv2):
            # A shuffle only moves values, so that the activation may come before it.
            feat_BKHW = channels_last(F.pixel_shuffle(conv_leaky_relu(upconv, feat_BKHW), 2))
        residue: Tensor = self.conv_last(conv_leaky_relu(self.conv_hr, feat_BKHW))
        return residue.float()

    def upsample_onto(self, frame_BCHW: Tensor, feat_BKHW: Tensor) -> Tensor:
        """(B, 3, 4 H, 4 W): the frame, enlarged bilinearly, plus the residual from the features."""
        base = F.interpolate(frame_BCHW, scale_factor=4, mode="bilinear", align_corners=False)
        return base.add_(self.upsample(feat_BKHW))


class Int8Upsampling(nn.Module):
    """Features to those that the last convolution sees, the two large convolutions in int8.

    The first convolution, a tenth of the work, and the last stay as they are. What a convolution
    gives is scaled to steps of the next one's input, which a leaky ReLU leaves alone.

    Args:
        whole: The trained enlargement, with ranges.
    """

    def __init__(self, whole: PixelShuffleUpsampling) -> None:
        super().__init__()
        ranges = whole.upsampling_ranges
        assert ranges is not None
        doubled, quadrupled = ranges.doubled_K / HIGHEST, ranges.quadrupled_K / HIGHEST
        self.first = in_steps(_by_pixel(whole.upconv1), doubled.repeat(4))
        self.second = Int8Conv(_by_pixel(whole.upconv2), doubled, quadrupled.repeat(4))
        self.high = Int8Conv(whole.conv_hr, quadrupled)

    def forward(self, feat_BKHW: Tensor) -> Tensor:
        """(B, K, 4 H, 4 W), the type of the features."""
        steps = conv_leaky_relu(self.first, channels_last(feat_BKHW))
        steps = _leaky(self.second.numbers(_doubled_levels(steps), feat_BKHW.dtype))
        return _leaky(self.high.numbers(_doubled_levels(steps), feat_BKHW.dtype))


def _doubled_levels(steps_BKHW: Tensor) -> Tensor:
    """Numbers of steps, pixel by pixel, as unsigned levels at twice the size."""
    return pixel_shuffled(unsigned(to_levels(steps_BKHW)))


def _leaky(feat_BKHW: Tensor) -> Tensor:
    return F.leaky_relu(feat_BKHW, NEGATIVE_SLOPE, inplace=True)


def _by_pixel(conv: nn.Conv2d) -> nn.Conv2d:
    """A copy whose results are in the order of ``pixel_shuffled``: pixel by pixel of a cell."""
    ordered = copy.deepcopy(conv)
    for parameter in ordered.parameters():
        by_feature = parameter.detach().view(-1, 4, *parameter.shape[1:])
        parameter.data = by_feature.transpose(0, 1).flatten(0, 1)
    return ordered
