"""The parts of EDVR: pyramid features, PCD alignment, TSA fusion, pre-deblurring.

Wang et al., "EDVR: Video Restoration with Enhanced Deformable Convolutional Networks", CVPRW 2019;
parameters are named as in BasicSR (github.com/XPixelGroup/BasicSR).

B batch, T time, C colour, K features, H, W size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.layers.blocks import ResidualBlock, channels_last, conv3x3
from vsr.models.ops.deform_conv import DeformConv
from vsr.models.ops.fused import NEGATIVE_SLOPE, conv_leaky_relu

Pyramid = tuple[Tensor, Tensor, Tensor]
"""Features at the full size, half and a quarter of it."""


class PyramidFeatures(nn.Module):
    """Features of single frames at three sizes; independent of other frames, so computed once."""

    def __init__(self, num_feat: int, num_block: int, *, predeblur: bool, hr_in: bool) -> None:
        super().__init__()
        self.sharpens, self.reduces = predeblur, hr_in
        if predeblur:
            self.predeblur = Predeblur(num_feat, hr_in=hr_in)
            self.conv_1x1 = nn.Conv2d(num_feat, num_feat, 1)
        elif hr_in:
            # Only the first code had this (github.com/xinntao/EDVR), for second stages.
            self.conv_first_1 = conv3x3(3, num_feat)
            self.conv_first_2 = halving(num_feat)
            self.conv_first_3 = halving(num_feat)
        else:
            self.conv_first = conv3x3(3, num_feat)
        self.feature_extraction = nn.Sequential(
            *(ResidualBlock(num_feat) for _ in range(num_block))
        )
        self.conv_l2_1 = halving(num_feat)
        self.conv_l2_2 = conv3x3(num_feat, num_feat)
        self.conv_l3_1 = halving(num_feat)
        self.conv_l3_2 = conv3x3(num_feat, num_feat)

    def features(self, frames_BCHW: Tensor) -> Pyramid:
        """Frames with sides divisible by 4 (by 16 with ``hr_in``)."""
        frames_BCHW = channels_last(frames_BCHW)
        feat = self._first_features(frames_BCHW)
        full = self.feature_extraction(feat)
        half = conv_leaky_relu(self.conv_l2_2, conv_leaky_relu(self.conv_l2_1, full))
        quarter = conv_leaky_relu(self.conv_l3_2, conv_leaky_relu(self.conv_l3_1, half))
        return full, half, quarter

    def _first_features(self, frames_BCHW: Tensor) -> Tensor:
        """Features at the full size, which with ``hr_in`` is a quarter of the frames' sides."""
        if self.sharpens:
            sharpened: Tensor = self.conv_1x1(self.predeblur(frames_BCHW))
            return sharpened
        if not self.reduces:
            return conv_leaky_relu(self.conv_first, frames_BCHW)
        feat = conv_leaky_relu(self.conv_first_1, frames_BCHW)
        return conv_leaky_relu(self.conv_first_3, conv_leaky_relu(self.conv_first_2, feat))


class PCDAlignment(nn.Module):
    """Pyramid, cascading and deformable alignment of a neighbour's features to a reference's."""

    def __init__(self, num_feat: int, groups: int) -> None:
        super().__init__()
        levels = ("l3", "l2", "l1")
        twice = 2 * num_feat
        self.offset_conv1 = nn.ModuleDict({level: conv3x3(twice, num_feat) for level in levels})
        self.offset_conv2 = nn.ModuleDict(
            {level: conv3x3(num_feat if level == "l3" else twice, num_feat) for level in levels}
        )
        self.offset_conv3 = nn.ModuleDict({x: conv3x3(num_feat, num_feat) for x in levels[1:]})
        self.dcn_pack = nn.ModuleDict({level: DeformConv(num_feat, groups) for level in levels})
        self.feat_conv = nn.ModuleDict({level: conv3x3(twice, num_feat) for level in levels[1:]})
        self.cas_offset_conv1 = conv3x3(twice, num_feat)
        self.cas_offset_conv2 = conv3x3(num_feat, num_feat)
        self.cas_dcnpack = DeformConv(num_feat, groups)

    def forward(self, neighbour: Pyramid, reference: Pyramid) -> Tensor:
        """The neighbour's full-size features where the reference's are."""
        guide = self._first_guide("l3", neighbour[2], reference[2])
        guide = conv_leaky_relu(_conv(self.offset_conv2, "l3"), guide)
        feat = _leaky(self.dcn_pack["l3"](neighbour[2], guide))
        for level, scale in (("l2", 1), ("l1", 0)):
            coarse_guide, coarse_feat = 2 * double(guide), double(feat)
            guide = self._first_guide(level, neighbour[scale], reference[scale])
            guide = torch.cat([guide, coarse_guide], 1)
            guide = conv_leaky_relu(_conv(self.offset_conv2, level), guide)
            guide = conv_leaky_relu(_conv(self.offset_conv3, level), guide)
            feat = torch.cat([self.dcn_pack[level](neighbour[scale], guide), coarse_feat], 1)
            feat = self.feat_conv[level](feat)
            if level == "l2":
                feat = _leaky(feat)
        guide = conv_leaky_relu(self.cas_offset_conv1, torch.cat([feat, reference[0]], 1))
        guide = conv_leaky_relu(self.cas_offset_conv2, guide)
        return _leaky(self.cas_dcnpack(feat, guide))

    def _first_guide(self, level: str, neighbour: Tensor, reference: Tensor) -> Tensor:
        return conv_leaky_relu(
            _conv(self.offset_conv1, level), torch.cat([neighbour, reference], 1)
        )


class TSAFusion(nn.Module):
    """Temporal and spatial attention over aligned features."""

    def __init__(self, num_feat: int, num_frame: int) -> None:
        super().__init__()
        self.centre = num_frame // 2
        every = num_frame * num_feat
        self.temporal_attn1 = conv3x3(num_feat, num_feat)
        self.temporal_attn2 = conv3x3(num_feat, num_feat)
        self.feat_fusion = nn.Conv2d(every, num_feat, 1)
        self.spatial_attn1 = nn.Conv2d(every, num_feat, 1)
        self.spatial_attn2 = nn.Conv2d(2 * num_feat, num_feat, 1)
        self.spatial_attn3 = conv3x3(num_feat, num_feat)
        self.spatial_attn4 = nn.Conv2d(num_feat, num_feat, 1)
        self.spatial_attn5 = conv3x3(num_feat, num_feat)
        self.spatial_attn_l1 = nn.Conv2d(num_feat, num_feat, 1)
        self.spatial_attn_l2 = conv3x3(2 * num_feat, num_feat)
        self.spatial_attn_l3 = conv3x3(num_feat, num_feat)
        self.spatial_attn_add1 = nn.Conv2d(num_feat, num_feat, 1)
        self.spatial_attn_add2 = nn.Conv2d(num_feat, num_feat, 1)

    def forward(self, aligned_BTKHW: Tensor) -> Tensor:
        """(B, T, K, H, W) to (B, K, H, W)."""
        feats = self._weigh_frames(aligned_BTKHW)
        fused = conv_leaky_relu(self.feat_fusion, feats)
        attention = self._spatial(conv_leaky_relu(self.spatial_attn1, feats))
        added = self.spatial_attn_add2(conv_leaky_relu(self.spatial_attn_add1, attention))
        out: Tensor = fused * attention.sigmoid() * 2 + added
        return out

    def _weigh_frames(self, aligned_BTKHW: Tensor) -> Tensor:
        """Each frame's features by their likeness to the centre's: (B, T K, H, W)."""
        reference = self.temporal_attn1(aligned_BTKHW[:, self.centre])
        likeness = [
            (self.temporal_attn2(feat) * reference).sum(1, keepdim=True)
            for feat in aligned_BTKHW.unbind(1)
        ]
        weighed = [
            feat * like.sigmoid()
            for feat, like in zip(aligned_BTKHW.unbind(1), likeness, strict=True)
        ]
        return torch.cat(weighed, 1)

    def _spatial(self, feat: Tensor) -> Tensor:
        """Attention from two halvings of the size and back."""
        half = conv_leaky_relu(self.spatial_attn2, _pool(feat))
        quarter = conv_leaky_relu(self.spatial_attn_l1, half)
        quarter = conv_leaky_relu(self.spatial_attn_l2, _pool(quarter))
        quarter = double(conv_leaky_relu(self.spatial_attn_l3, quarter))
        half = conv_leaky_relu(self.spatial_attn3, half) + quarter
        half = conv_leaky_relu(self.spatial_attn4, half)
        attention: Tensor = self.spatial_attn5(double(half))
        return attention


class Predeblur(nn.Module):
    """A small pyramid that sharpens single frames before alignment.

    Args:
        num_feat: Features.
        hr_in: Frames come at the output's size and are reduced by four here.
    """

    def __init__(self, num_feat: int, *, hr_in: bool) -> None:
        super().__init__()
        self.reduces = hr_in
        self.conv_first = conv3x3(3, num_feat)
        if hr_in:
            self.stride_conv_hr1 = halving(num_feat)
            self.stride_conv_hr2 = halving(num_feat)
        self.stride_conv_l2 = halving(num_feat)
        self.stride_conv_l3 = halving(num_feat)
        self.resblock_l3 = ResidualBlock(num_feat)
        self.resblock_l2_1 = ResidualBlock(num_feat)
        self.resblock_l2_2 = ResidualBlock(num_feat)
        self.resblock_l1 = nn.ModuleList(ResidualBlock(num_feat) for _ in range(5))

    def forward(self, frames_BCHW: Tensor) -> Tensor:
        full = conv_leaky_relu(self.conv_first, frames_BCHW)
        if self.reduces:
            full = conv_leaky_relu(self.stride_conv_hr1, full)
            full = conv_leaky_relu(self.stride_conv_hr2, full)
        half = conv_leaky_relu(self.stride_conv_l2, full)
        quarter = conv_leaky_relu(self.stride_conv_l3, half)
        half = self.resblock_l2_1(half) + double(self.resblock_l3(quarter))
        half = double(self.resblock_l2_2(half))
        for block in self.resblock_l1[:2]:
            full = block(full)
        full = full + half
        for block in self.resblock_l1[2:]:
            full = block(full)
        return full


def halving(num_feat: int) -> nn.Conv2d:
    """A 3x3 convolution of stride 2."""
    return nn.Conv2d(num_feat, num_feat, 3, stride=2, padding=1)


def double(feat: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(feat, scale_factor=2, mode="bilinear", align_corners=False)


def _pool(feat: Tensor) -> Tensor:
    """Maximum and mean of 3x3 windows at half the size."""
    highest = F.max_pool2d(feat, 3, stride=2, padding=1)
    return torch.cat([highest, F.avg_pool2d(feat, 3, stride=2, padding=1)], 1)


def _leaky(feat: Tensor) -> Tensor:
    return F.leaky_relu(feat, NEGATIVE_SLOPE)


def _conv(convs: nn.ModuleDict, level: str) -> nn.Conv2d:
    conv = convs[level]
    assert isinstance(conv, nn.Conv2d)
    return conv
