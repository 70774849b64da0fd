"""IconVSR: BasicVSR with information refill at key frames and coupled propagation.

Chan et al., "BasicVSR: The Search for Essential Components in Video Super-Resolution and Beyond",
CVPR 2021. Parameters are named as in BasicSR (github.com/XPixelGroup/BasicSR), whose checkpoints
load as they are; released under Apache-2.0, the flow network inside them under a non-commercial
research licence.

    b_i = trunk_b([x_i, r(warp(b_{i+1}))])    f_i = trunk_f([x_i, b_i, r(warp(f_{i-1}))])
    y_i = upsample(f_i) + bilinear(x_i)

At key frames, r refills: fuse([feat, EDVR-M(x_{i-2}, ..., x_{i+2})]). Key frames are the multiples
of the stride, counted from the start of the scene wherever chunks fall, and the scene's last frame.

B batch, T time, C colour, K features, H, W size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vsr.models.architectures.edvr import AlignedFeatures, alignment_options
from vsr.models.architectures.edvr_layers import Pyramid
from vsr.models.layers.blocks import Trunk, conv3x3, num_blocks_of
from vsr.models.layers.int8_trunk import TrunkNetwork
from vsr.models.layers.propagation import PairFlows, PropagationState, pair_flows
from vsr.models.layers.spynet import SPyNet
from vsr.models.layers.upsampling import PixelShuffleUpsampling
from vsr.models.layers.windows import window_indices
from vsr.models.network import NetworkFacts
from vsr.models.ops.padding import pad_to_multiple
from vsr.models.ops.warp import warp

SCALE = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class IconVSRState:
    """A stream's past, its flows, and inputs of the refill.

    Attributes:
        propagation: Features and flows, as in BasicVSR.
        past_BTCHW: The last frames that left, up to a refill window less one.
        position: Frames of the scene that have left.
        refills: Features of key frames of the look-ahead whose neighbours were all seen, by their
            place in the scene; each (B, K, H, W).
        pyramids: Features of frames that key frames to come may have beside them, likewise.
    """

    TAG: ClassVar[str] = "iconvsr.v1"

    propagation: PropagationState
    past_BTCHW: Tensor
    position: int
    refills: dict[int, Tensor]
    pyramids: dict[int, Pyramid]


class IconVSR(PixelShuffleUpsampling, TrunkNetwork[IconVSRState]):
    """Recurrent x4 super-resolution with refill.

    Args:
        num_feat: Features of both branches.
        num_block: Residual blocks a branch.
        keyframe_stride: Frames from key frame to key frame.
        temporal_padding: Neighbours of a key frame on either side: 2 or 3.
        refill: Further options of the refill network.
        has_ranges: Whether it is known how large features of the trunks get, so that they have a
            form on 8-bit integers.
    """

    state_classes = (
        IconVSRState,
        PropagationState,
    )
    trunk_names = ("backward_trunk", "forward_trunk")

    def __init__(
        self,
        *,
        num_feat: int = 64,
        num_block: int = 30,
        keyframe_stride: int = 5,
        temporal_padding: int = 2,
        refill: Mapping[str, Any] | None = None,
        has_ranges: bool = False,
    ) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="iconvsr", scale=SCALE, look_ahead=8, chunk=8, sees_end=True)
        self.num_feat, self.keyframe_stride = num_feat, keyframe_stride
        self.radius = temporal_padding
        options = {"num_feat": num_feat, "num_frame": 2 * temporal_padding + 1, **(refill or {})}
        self.edvr = AlignedFeatures(**options)
        self.spynet = SPyNet()
        self.backward_fusion = conv3x3(2 * num_feat, num_feat)
        self.backward_trunk = Trunk(3 + num_feat, num_feat, num_block, has_ranges=has_ranges)
        self.forward_fusion = conv3x3(2 * num_feat, num_feat)
        self.forward_trunk = Trunk(3 + 2 * num_feat, num_feat, num_block, has_ranges=has_ranges)
        self.declare_upsampling(num_feat, has_ranges=has_ranges)

    def step(
        self,
        window_BTCHW: Tensor,
        state: IconVSRState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, IconVSRState]:
        height, width = window_BTCHW.shape[-2:]
        window_BTCHW = pad_to_multiple(window_BTCHW, 4, reflect=True)
        flows = pair_flows(self.spynet, window_BTCHW, state.propagation if state else None)
        refills, pyramids = self._refills(window_BTCHW, state, ends_scene=ends_scene)
        frames = [frame.to(self.float_dtype) for frame in window_BTCHW.unbind(1)]
        backward = self._propagate_backward(frames, flows, refills, num_keep)
        feat = self._no_feat(frames[0]) if state is None else state.propagation.feat_BKHW
        restored = []
        for i in range(num_keep):
            feat = self._refilled(self.forward_fusion, warp(feat, flows.to_previous(i)), refills, i)
            feat = self.forward_trunk(torch.cat([frames[i], backward[i], feat], 1))
            restored.append(self.upsample_onto(window_BTCHW[:, i], feat))
        cropped = torch.stack(restored, 1)[..., : SCALE * height, : SCALE * width]
        left = (state.position if state else 0) + num_keep
        final = window_BTCHW.shape[1] - (0 if ends_scene else self.radius)
        return cropped, IconVSRState(
            propagation=flows.next_state(feat, window_BTCHW, num_keep),
            past_BTCHW=self._past(window_BTCHW[:, :num_keep], state).clone(),
            position=left,
            refills={left + i - num_keep: r for i, r in refills.items() if num_keep <= i < final},
            pyramids={i: p for i, p in pyramids.items() if i >= left - 2 * self.radius},
        )

    def _past(self, left_BTCHW: Tensor, state: IconVSRState | None) -> Tensor:
        """The last frames that left, those that refill windows can still reach."""
        past = state.past_BTCHW if state else left_BTCHW[:, :0]
        return torch.cat([past, left_BTCHW], 1)[:, -2 * self.radius :]

    def _refills(
        self, window_BTCHW: Tensor, state: IconVSRState | None, *, ends_scene: bool
    ) -> tuple[dict[int, Tensor], dict[int, Pyramid]]:
        """Refills of key frames by place in the window, pyramids by place in the scene."""
        position = state.position if state else 0
        past = state.past_BTCHW if state else window_BTCHW[:, :0]
        known = state.refills if state else {}
        num_past, last = past.shape[1], window_BTCHW.shape[1] - 1
        first = -num_past if num_past == position else None
        frames_BTCHW = torch.cat([past, window_BTCHW], 1)
        pyramids = dict(state.pyramids) if state else {}
        refills = {}
        for i in self._key_frames(position, last, ends_scene=ends_scene):
            feat = known.get(position + i)
            if feat is None:
                # The reference extends the clip itself: 4, 3 stand before frame 0 for every centre.
                seen = window_indices(i, 2 * self.radius + 1, (first, last), (first or 0, last))
                for j in {j for j in seen if position + j not in pyramids}:
                    frame = frames_BTCHW[:, num_past + j].to(self.float_dtype)
                    pyramids[position + j] = self.edvr.features(frame)
                feat = self.edvr.fuse([pyramids[position + j] for j in seen])
            refills[i] = feat
        return refills, pyramids

    def _key_frames(self, position: int, last: int, *, ends_scene: bool) -> list[int]:
        """Places in a window that begins ``position`` frames into the scene."""
        stride = self.keyframe_stride
        keys = list(range(-position % stride, last + 1, stride))
        return keys if not ends_scene or last in keys else [*keys, last]

    def _propagate_backward(
        self, frames: list[Tensor], flows: PairFlows, refills: dict[int, Tensor], num_keep: int
    ) -> list[Tensor]:
        """Backward features of the frames to keep, starting from zeros behind the window."""
        feat = self._no_feat(frames[-1])
        kept: list[Tensor] = []
        for i in reversed(range(len(frames))):
            if i + 1 < len(frames):
                feat = warp(feat, flows.to_next(i))
            feat = self._refilled(self.backward_fusion, feat, refills, i)
            feat = self.backward_trunk(torch.cat([frames[i], feat], 1))
            if i < num_keep:
                kept.append(feat)
        return kept[::-1]

    def _refilled(
        self, fusion: nn.Module, feat: Tensor, refills: dict[int, Tensor], i: int
    ) -> Tensor:
        return fusion(torch.cat([feat, refills[i]], 1)) if i in refills else feat

    def _no_feat(self, frame: Tensor) -> Tensor:
        return frame.new_zeros((len(frame), self.num_feat, *frame.shape[-2:]))


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if not {"backward_fusion.weight", "edvr.pcd_align.cas_dcnpack.weight"} <= weights.keys():
        return None
    inner = {k.removeprefix("edvr."): v for k, v in weights.items() if k.startswith("edvr.")}
    refill = alignment_options(inner)
    return {
        "num_feat": weights["backward_fusion.weight"].shape[0],
        "num_block": num_blocks_of(weights, "backward_trunk.main.2."),
        "has_ranges": "backward_trunk.ranges.features_K" in weights,
        "temporal_padding": refill["num_frame"] // 2,
        "refill": {k: v for k, v in refill.items() if k not in ("num_feat", "num_frame")},
    }
