"""EDVR: alignment by deformable convolutions, fusion by attention, over a window of frames.

Wang et al., "EDVR: Video Restoration with Enhanced Deformable Convolutional Networks", CVPRW 2019.
Parameters are named as in BasicSR (github.com/XPixelGroup/BasicSR), whose checkpoints, released
under Apache-2.0, load as they are.

A frame depends on its neighbours within half a window, nothing further: what a stream carries is
the pyramids of features of frames that later windows need, each made once. At the ends of a scene
the window is reflected about its own circle: the neighbours of frame 0 of 5 are 4, 3, 0, 1, 2.

B batch, T time, C colour, K features, H, W size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vsr.models.architectures.edvr_layers import PCDAlignment, Pyramid, PyramidFeatures, TSAFusion
from vsr.models.layers.blocks import ResidualBlock, channels_last, num_blocks_of
from vsr.models.layers.upsampling import PixelShuffleUpsampling
from vsr.models.layers.windows import window_indices
from vsr.models.network import Network, NetworkFacts
from vsr.models.ops.padding import pad_to_multiple

SCALE = 4


class AlignedFeatures(PyramidFeatures):
    """Features of a window, aligned to its centre and fused: EDVR without its reconstruction."""

    def __init__(
        self,
        *,
        num_feat: int,
        num_frame: int,
        deformable_groups: int = 8,
        num_extract_block: int = 5,
        with_predeblur: bool = False,
        hr_in: bool = False,
        with_tsa: bool = True,
    ) -> None:
        super().__init__(num_feat, num_extract_block, predeblur=with_predeblur, hr_in=hr_in)
        self.num_frame = num_frame
        self.pcd_align = PCDAlignment(num_feat, deformable_groups)
        self.fusion: nn.Module = (
            TSAFusion(num_feat, num_frame)
            if with_tsa
            else nn.Conv2d(num_frame * num_feat, num_feat, 1)
        )

    def fuse(self, window: Sequence[Pyramid]) -> Tensor:
        """(B, K, H, W): the features of ``num_frame`` frames, seen from the one in the middle."""
        reference = window[len(window) // 2]
        aligned = [self.pcd_align(neighbour, reference) for neighbour in window]
        if isinstance(self.fusion, TSAFusion):
            attended: Tensor = self.fusion(torch.stack(aligned, 1))
            return attended
        mixed: Tensor = self.fusion(torch.cat(aligned, 1))
        return mixed


@dataclass(frozen=True, kw_only=True, eq=False)
class EDVRState:
    """Features of frames that later windows need.

    Attributes:
        full_BTKHW: At the full size: of up to ``num_frame`` - 1 frames that have left, then of the
            look-ahead seen so far.
        half_BTKHW: The same at half the size.
        quarter_BTKHW: The same at a quarter.
        num_past: How many of them have left; fewer than ``num_frame`` - 1 where the scene began.
    """

    TAG: ClassVar[str] = "edvr.v1"

    full_BTKHW: Tensor
    half_BTKHW: Tensor
    quarter_BTKHW: Tensor
    num_past: int


class EDVR(AlignedFeatures, PixelShuffleUpsampling, Network[EDVRState]):
    """Restoration of a frame from a window of frames, x4 or, with ``hr_in``, x1.

    Args:
        num_feat: Features.
        num_frame: Frames of a window, odd.
        deformable_groups: Groups of the deformable convolutions.
        num_extract_block: Residual blocks on single frames.
        num_reconstruct_block: Residual blocks after fusion.
        with_predeblur: Sharpen single frames first.
        hr_in: The input has the output's size.
        with_tsa: Fuse by attention, or by a 1x1 convolution.
    """

    state_classes = (EDVRState,)

    def __init__(
        self,
        *,
        num_feat: int = 64,
        num_frame: int = 5,
        deformable_groups: int = 8,
        num_extract_block: int = 5,
        num_reconstruct_block: int = 10,
        with_predeblur: bool = False,
        hr_in: bool = False,
        with_tsa: bool = True,
    ) -> None:
        super().__init__(
            num_feat=num_feat,
            num_frame=num_frame,
            deformable_groups=deformable_groups,
            num_extract_block=num_extract_block,
            with_predeblur=with_predeblur,
            hr_in=hr_in,
            with_tsa=with_tsa,
        )
        scale = 1 if hr_in else SCALE
        self.facts = NetworkFacts(name="edvr", scale=scale, look_ahead=num_frame // 2, chunk=4)
        blocks = (ResidualBlock(num_feat) for _ in range(num_reconstruct_block))
        self.reconstruction = nn.Sequential(*blocks)
        self.declare_upsampling(num_feat)

    def step(
        self,
        window_BTCHW: Tensor,
        state: EDVRState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, EDVRState]:
        height, width = window_BTCHW.shape[-2:]
        window_BTCHW = pad_to_multiple(window_BTCHW, 16 if self.facts.scale == 1 else 4)
        pyramids, num_past = self._pyramids(window_BTCHW, state)
        first = -num_past if num_past < self.num_frame - 1 else None
        restored = []
        for i in range(num_keep):
            seen = window_indices(i, self.num_frame, (first, window_BTCHW.shape[1] - 1), (i, i))
            feat = self.fuse([_at(pyramids, num_past + j) for j in seen])
            restored.append(self._reconstruct(feat, window_BTCHW[:, i]))
        restored_BTCHW = torch.stack(restored, 1)
        cropped = restored_BTCHW[..., : self.facts.scale * height, : self.facts.scale * width]
        return cropped, self._next_state(pyramids, num_past + num_keep)

    def _pyramids(self, window_BTCHW: Tensor, state: EDVRState | None) -> tuple[Pyramid, int]:
        """Features of past and window, (B, T, K, H, W) at three sizes, and the past's length."""
        if state is None:
            return self._extract(window_BTCHW), 0
        known = (state.full_BTKHW, state.half_BTKHW, state.quarter_BTKHW)
        fresh = window_BTCHW[:, known[0].shape[1] - state.num_past :]
        if not fresh.shape[1]:
            return known, state.num_past
        full, half, quarter = (
            torch.cat(pair, 1) for pair in zip(known, self._extract(fresh), strict=True)
        )
        return (full, half, quarter), state.num_past

    def _extract(self, frames_BTCHW: Tensor) -> Pyramid:
        batch, num_frames = frames_BTCHW.shape[:2]
        levels = self.features(frames_BTCHW.flatten(0, 1).to(self.dtype))
        full, half, quarter = (x.view(batch, num_frames, *x.shape[1:]) for x in levels)
        return full, half, quarter

    def _next_state(self, pyramids: Pyramid, num_left: int) -> EDVRState:
        num_past = min(num_left, self.num_frame - 1)
        full, half, quarter = (x[:, num_left - num_past :].clone() for x in pyramids)
        return EDVRState(full_BTKHW=full, half_BTKHW=half, quarter_BTKHW=quarter, num_past=num_past)

    def _reconstruct(self, feat: Tensor, centre_BCHW: Tensor) -> Tensor:
        feat = self.reconstruction(channels_last(feat))
        if self.facts.scale == 1:
            return centre_BCHW + self.upsample(feat)
        return self.upsample_onto(centre_BCHW, feat)


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if not {"pcd_align.cas_dcnpack.weight", "reconstruction.0.conv1.weight"} <= weights.keys():
        return None
    return {
        **alignment_options(weights),
        "num_reconstruct_block": num_blocks_of(weights, "reconstruction."),
        "with_predeblur": "predeblur.conv_first.weight" in weights,
        "hr_in": not weights.keys().isdisjoint(
            ("predeblur.stride_conv_hr1.weight", "conv_first_3.weight")
        ),
    }


def alignment_options(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The options that ``AlignedFeatures`` has without pre-deblurring."""
    with_tsa = "fusion.temporal_attn1.weight" in weights
    fusion = weights["fusion.feat_fusion.weight" if with_tsa else "fusion.weight"]
    return {
        "num_feat": fusion.shape[0],
        "num_frame": fusion.shape[1] // fusion.shape[0],
        "deformable_groups": weights["pcd_align.cas_dcnpack.conv_offset.weight"].shape[0] // 27,
        "num_extract_block": num_blocks_of(weights, "feature_extraction."),
        "with_tsa": with_tsa,
    }


def _at(pyramids: Pyramid, index: int) -> Pyramid:
    """One frame's features, laid out for convolutions."""
    full, half, quarter = (channels_last(level[:, index]) for level in pyramids)
    return full, half, quarter
