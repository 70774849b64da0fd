"""BasicVSR: bidirectional propagation with optical-flow alignment.

Chan et al., "BasicVSR: The Search for Essential Components in Video Super-Resolution and Beyond",
CVPR 2021. Parameters are named as in BasicSR (github.com/XPixelGroup/BasicSR), whose checkpoints
load as they are; those were released under Apache-2.0, the flow network inside them under a non-
commercial research licence.

    b_i = trunk_b([x_i, warp(b_{i+1})])      f_i = trunk_f([x_i, warp(f_{i-1})])
    y_i = upsample(fuse([b_i, f_i])) + bilinear(x_i)

B batch, T time, C colour, K features, H, W size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vsr.models.layers.blocks import Trunk, num_blocks_of
from vsr.models.layers.int8_trunk import TrunkNetwork
from vsr.models.layers.propagation import PairFlows, PropagationState, pair_flows
from vsr.models.layers.spynet import SPyNet
from vsr.models.layers.upsampling import PixelShuffleUpsampling
from vsr.models.network import NetworkFacts
from vsr.models.ops.fused import conv_leaky_relu
from vsr.models.ops.warp import warp

SCALE = 4


class BasicVSR(PixelShuffleUpsampling, TrunkNetwork[PropagationState]):
    """Recurrent x4 super-resolution.

    Args:
        num_feat: Features of both branches.
        num_block: Residual blocks a branch.
        has_ranges: Whether it is known how large features of the trunks get, so that they have a
            form on 8-bit integers.
    """

    state_classes = (PropagationState,)
    trunk_names = ("backward_trunk", "forward_trunk")

    def __init__(
        self, *, num_feat: int = 64, num_block: int = 30, has_ranges: bool = False
    ) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="basicvsr", scale=SCALE, look_ahead=8, chunk=8)
        self.num_feat = num_feat
        self.spynet = SPyNet()
        self.backward_trunk = Trunk(3 + num_feat, num_feat, num_block, has_ranges=has_ranges)
        self.forward_trunk = Trunk(3 + num_feat, num_feat, num_block, has_ranges=has_ranges)
        self.fusion = nn.Conv2d(2 * num_feat, num_feat, 1)
        self.declare_upsampling(num_feat, has_ranges=has_ranges)

    def step(
        self,
        window_BTCHW: Tensor,
        state: PropagationState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, PropagationState]:
        flows = pair_flows(self.spynet, window_BTCHW, state)
        frames = [frame.to(self.float_dtype) for frame in window_BTCHW.unbind(1)]
        backward = self._propagate_backward(frames, flows, num_keep)
        feat = self._no_feat(frames[0]) if state is None else state.feat_BKHW
        restored = []
        for i in range(num_keep):
            feat = self._advance(self.forward_trunk, frames[i], feat, flows.to_previous(i))
            restored.append(self._reconstruct(backward[i], feat, window_BTCHW[:, i]))
        return torch.stack(restored, 1), flows.next_state(feat, window_BTCHW, num_keep)

    def _propagate_backward(
        self, frames: list[Tensor], flows: PairFlows, num_keep: int
    ) -> list[Tensor]:
        """Backward features of the frames to keep, starting from zeros behind the window."""
        feat = self.backward_trunk(torch.cat([frames[-1], self._no_feat(frames[-1])], 1))
        kept = [feat]
        for i in reversed(range(len(frames) - 1)):
            feat = self._advance(self.backward_trunk, frames[i], feat, flows.to_next(i))
            kept.append(feat)
        return kept[::-1][:num_keep]

    def _advance(self, trunk: nn.Module, frame: Tensor, feat: Tensor, flow_B2HW: Tensor) -> Tensor:
        advanced: Tensor = trunk(torch.cat([frame, warp(feat, flow_B2HW)], 1))
        return advanced

    def _no_feat(self, frame: Tensor) -> Tensor:
        return frame.new_zeros((len(frame), self.num_feat, *frame.shape[-2:]))

    def _reconstruct(self, backward: Tensor, forward: Tensor, frame_BCHW: Tensor) -> Tensor:
        feat = conv_leaky_relu(self.fusion, torch.cat([backward, forward], 1))
        return self.upsample_onto(frame_BCHW, feat)


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if not {"spynet.mean", "fusion.weight", "backward_trunk.main.0.weight"} <= weights.keys():
        return None
    return {
        "num_feat": weights["fusion.weight"].shape[0],
        "num_block": num_blocks_of(weights, "backward_trunk.main.2."),
        "has_ranges": "backward_trunk.ranges.features_K" in weights,
    }
