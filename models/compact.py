"""``compact``: our own real-time network, coupled bidirectional propagation at half the input size.

    b_i = backward([e_i, warp(b_{i+1}), u(warp(x_{i+1}))])
    f_i = forward([e_i, b_i, warp(f_{i-1}), u(warp(x_{i-1}))])
    y_i = shuffle(tail(f_i) + bicubic(x_i))                     e_i = encode(u(x_i))

Everything expensive runs at a quarter of the input's pixels (u unshuffles by 2), where convolutions
are fastest. Features of half the size align only to half the precision; what lies between two
pixels, which is what super-resolution lives on, comes from the neighbour frame itself, aligned at
the input's size. Coupled propagation is IconVSR's (Chan et al., CVPR 2021), without its refill.

B batch, T time, C colour, K features; H, W input size; h, w half of it. Weights: Apache-2.0, see
``weights/``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.coarse_flow import CoarseFlow
from vsr.models.fused import conv_leaky_relu
from vsr.models.layers import Trunk, channels_last, conv3x3, num_blocks_of
from vsr.models.network import Network, NetworkFacts
from vsr.models.padding import pad_to_multiple
from vsr.models.propagation import PairFlows, PropagationState, pair_flows
from vsr.models.upsampling import bicubic_filter
from vsr.models.warping import warp

SHUFFLE = 2
"""The input is unshuffled by this much; sides are padded to its multiples."""

UNSHUFFLED = 3 * SHUFFLE**2
"""Channels of an unshuffled frame."""


class Compact(Network[PropagationState]):
    """Real-time recurrent super-resolution.

    Args:
        scale: Output size over input size, even.
        num_feat: Features of both branches, a multiple of 4.
        num_blocks: Residual blocks a branch.
        num_tail: Features at the input's size, in front of the last convolution.
        num_flow: Features of the flow network.
        flow_levels: Levels of the flow network; each doubles the largest motion it can follow.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        num_feat: int = 64,
        num_blocks: int = 4,
        num_tail: int = 32,
        num_flow: int = 32,
        flow_levels: int = 4,
    ) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="compact", scale=scale, look_ahead=4, chunk=16)
        self.flow = CoarseFlow(num_feat=num_flow, levels=flow_levels)
        self.encode = conv3x3(UNSHUFFLED, num_feat)
        self.backward_trunk = Trunk(2 * num_feat + UNSHUFFLED, num_feat, num_blocks)
        self.forward_trunk = Trunk(3 * num_feat + UNSHUFFLED, num_feat, num_blocks)
        self.tail = _Tail(num_feat, num_tail, scale)

    def step(
        self,
        window_BTCHW: Tensor,
        state: PropagationState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, PropagationState]:
        height, width = window_BTCHW.shape[-2:]
        window_BTCHW = pad_to_multiple(window_BTCHW, SHUFFLE)
        flows = pair_flows(self.flow, window_BTCHW, state)
        encoded = [self._encode(frame) for frame in window_BTCHW.unbind(1)]
        backward = self._propagate_backward(window_BTCHW, encoded, flows, num_keep)
        feat = torch.zeros_like(encoded[0]) if state is None else state.feat_BKHW
        previous = window_BTCHW[:, 0] if state is None else state.frame_BCHW
        restored_BTCHW = self._room_for(window_BTCHW[:, :num_keep])
        for i in range(num_keep):
            aligned = self._align(feat, previous, flows.to_previous(i))
            feat = self.forward_trunk(torch.cat([encoded[i], backward[i], *aligned], 1))
            previous = window_BTCHW[:, i]
            self.tail(feat, previous, restored_BTCHW[:, i])
        cropped = restored_BTCHW[..., : self.facts.scale * height, : self.facts.scale * width]
        return cropped, flows.leave(feat, window_BTCHW, num_keep)

    def _room_for(self, frames_BTCHW: Tensor) -> Tensor:
        """Where restored frames go; filled in place, which spares a copy of the largest tensors."""
        batch, num_frames, colours, height, width = frames_BTCHW.shape
        scale = self.facts.scale
        shape = (batch, num_frames, colours, scale * height, scale * width)
        return frames_BTCHW.new_empty(shape, dtype=torch.float32)

    def _encode(self, frame_BCHW: Tensor) -> Tensor:
        return conv_leaky_relu(self.encode, channels_last(self._unshuffle(frame_BCHW)))

    def _unshuffle(self, frame_BCHW: Tensor) -> Tensor:
        return F.pixel_unshuffle(frame_BCHW.to(self.dtype), SHUFFLE)

    def _propagate_backward(
        self, window_BTCHW: Tensor, encoded: list[Tensor], flows: PairFlows, num_keep: int
    ) -> list[Tensor]:
        """Backward features of the frames to keep, starting from nothing behind the window."""
        feat, following = torch.zeros_like(encoded[-1]), window_BTCHW[:, -1]
        kept: list[Tensor] = []
        for i in reversed(range(len(encoded))):
            ends = i + 1 == len(encoded)
            flow = torch.zeros_like(flows.to_previous(i)) if ends else flows.to_next(i)
            aligned = self._align(feat, following, flow)
            feat = self.backward_trunk(torch.cat([encoded[i], *aligned], 1))
            following = window_BTCHW[:, i]
            if i < num_keep:
                kept.append(feat)
        return kept[::-1]

    def _align(
        self, feat_BKhw: Tensor, frame_BCHW: Tensor, flow_B2HW: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A neighbour's features, and the neighbour itself unshuffled, where this frame's are.

        Where there is no neighbour, features of zeros and the frame itself stand in.
        """
        half_flow = F.avg_pool2d(flow_B2HW, SHUFFLE) / SHUFFLE
        return warp(feat_BKhw, half_flow), self._unshuffle(warp(frame_BCHW, flow_B2HW, "border"))


class _Tail(nn.Module):
    """Features at half the size to the output, on top of the bicubic frame."""

    def __init__(self, num_feat: int, num_tail: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.up = conv3x3(num_feat, num_tail * SHUFFLE**2)
        self.hidden = conv3x3(num_tail, num_tail)
        self.last = conv3x3(num_tail, 3 * scale**2)
        nn.init.zeros_(self.last.weight)
        self.register_buffer("base", bicubic_filter(scale), persistent=False)

    def forward(self, feat_BKhw: Tensor, frame_BCHW: Tensor, into_BCHW: Tensor) -> None:
        """Write one restored frame."""
        feat = F.pixel_shuffle(conv_leaky_relu(self.up, feat_BKhw), SHUFFLE)
        feat = conv_leaky_relu(self.hidden, channels_last(feat))
        cells = self._bicubic(frame_BCHW).add_(self.last(feat))
        into_BCHW.copy_(F.pixel_shuffle(cells, self.scale))

    def _bicubic(self, frame_BCHW: Tensor) -> Tensor:
        """The frame enlarged, (B, 3 scale², H, W) before the shuffle; a convolution is fastest."""
        kernel: Tensor = self.get_buffer("base").float()
        around = kernel.shape[-1] // 2
        framed = F.pad(frame_BCHW.float(), (around,) * 4, mode="replicate")
        return F.conv2d(channels_last(framed), kernel)


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """What the network of these weights is built with; None if they are of another architecture."""
    if not {"encode.weight", "tail.last.weight", "flow.finest.0.weight"} <= weights.keys():
        return None
    return {
        "scale": math.isqrt(weights["tail.last.weight"].shape[0] // 3),
        "num_feat": weights["encode.weight"].shape[0],
        "num_blocks": num_blocks_of(weights, "backward_trunk.main.2."),
        "num_tail": weights["tail.hidden.weight"].shape[0],
        "num_flow": weights["flow.finest.0.weight"].shape[0],
        "flow_levels": num_blocks_of(weights, "flow.matching."),
    }
