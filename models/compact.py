"""``compact``: our own real-time network, coupled bidirectional propagation at half the input size.

    b_i, d_i = backward([e_i, from next(b, d, x)])           e_i = encode(u(x_i))
    f_i, d_i = forward([e_i, b_i, from previous(f, d, x)])
    y_i = shuffle(tail(f_i) + bicubic(x_i))

Everything expensive runs at a quarter of the input's pixels (u unshuffles by 2), where convolutions
are fastest. Interpolated at that size, or at the input's, a neighbour loses just what lies between
two pixels, which is what super-resolution lives on. So three things are taken from a neighbour:
its features, moved as if they were at the input's size; the neighbour itself, sampled at twice its
size, where interpolation loses nothing; and the draft d, the brightness at twice the input's size
as known so far, which each frame corrects a little. Frame and draft are given as differences to
this frame, which motion that is understood makes small. Coupled propagation is IconVSR's (Chan et
al., CVPR 2021); that an estimate is moved along and corrected, FRVSR's (Sajjadi et al., CVPR 2018).

B batch, T time, C colour, K features; H, W input size; h, w half of it. Weights: Apache-2.0, see
``weights/``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vsr.models.cells import apart, into_image
from vsr.models.coarse_flow import CoarseFlow
from vsr.models.compact_branch import SHUFFLE, Branch, Frame, Neighbour, doubled, grey, nobody
from vsr.models.fused import conv_leaky_relu
from vsr.models.layers import channels_last, conv3x3, hidden_conv3x3, num_blocks_of
from vsr.models.network import Network, NetworkFacts
from vsr.models.padding import pad_to_multiple
from vsr.models.propagation import PairFlows, PropagationState, pair_flows
from vsr.models.upsampling import bicubic_filter

UNSHUFFLED = 3 * SHUFFLE**2
"""Channels of an unshuffled frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CompactState(PropagationState):
    """A stream's past.

    Attributes:
        draft_B1HW: The forward branch's draft of the last restored frame, twice the frame's size.
    """

    draft_B1HW: Tensor


class Compact(Network[CompactState]):
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
        self.encode = hidden_conv3x3(UNSHUFFLED, num_feat)
        self.backward_branch = Branch(num_feat, num_feat, num_blocks)
        self.forward_branch = Branch(2 * num_feat, num_feat, num_blocks)
        self.tail = _Tail(num_feat, num_tail, scale)

    def step(
        self,
        window_BTCHW: Tensor,
        state: CompactState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, CompactState]:
        restored_BTCHW, state, _ = self.step_with_drafts(window_BTCHW, state, num_keep)
        return restored_BTCHW, state

    def step_with_drafts(
        self, window_BTCHW: Tensor, state: CompactState | None, num_keep: int
    ) -> tuple[Tensor, CompactState, tuple[list[Tensor], list[Tensor]]]:
        """As ``step``; also the drafts of both branches, backward first, for training.

        A draft is (B, 1, 2 H, 2 W), of the input padded to even sides; the backward branch drafts
        the whole window, the forward branch the frames to keep.
        """
        height, width = window_BTCHW.shape[-2:]
        window_BTCHW = pad_to_multiple(window_BTCHW, SHUFFLE)
        flows = pair_flows(self.flow, window_BTCHW, state)
        frames = [self._prepare(frame) for frame in window_BTCHW.unbind(1)]
        backward = self._propagate_backward(frames, flows)
        last = self._before(frames[0], state)
        restored_BTCHW = self._room_for(window_BTCHW[:, :num_keep])
        drafts: list[Tensor] = []
        for i in range(num_keep):
            shared = [frames[i].encoded_BKhw, backward[i].feat_BKhw]
            last = self.forward_branch(frames[i], shared, last, flows.to_previous(i))
            drafts.append(last.draft_B1HW)
            self.tail(last.feat_BKhw, window_BTCHW[:, i], restored_BTCHW[:, i])
        cropped = restored_BTCHW[..., : self.facts.scale * height, : self.facts.scale * width]
        left = flows.leave(last.feat_BKhw, window_BTCHW, num_keep)
        return (
            cropped,
            CompactState(**vars(left), draft_B1HW=last.draft_B1HW),
            ([neighbour.draft_B1HW for neighbour in backward], drafts),
        )

    def _prepare(self, frame_BCHW: Tensor) -> Frame:
        brightness = grey(frame_BCHW)
        unshuffled = F.pixel_unshuffle(frame_BCHW.to(self.dtype), SHUFFLE)
        return Frame(
            grey_B1HW=brightness,
            cells_B4hw=channels_last(F.pixel_unshuffle(brightness, SHUFFLE)),
            doubled_B16hw=doubled(brightness),
            encoded_BKhw=conv_leaky_relu(self.encode, channels_last(unshuffled)),
        )

    def _before(self, frame: Frame, state: CompactState | None) -> Neighbour:
        """What the forward branch begins with."""
        if state is None:
            return nobody(frame)
        return Neighbour(
            feat_BKhw=state.feat_BKHW,
            grey_B1HW=grey(state.frame_BCHW),
            draft_B1HW=state.draft_B1HW,
        )

    def _room_for(self, frames_BTCHW: Tensor) -> Tensor:
        """Where restored frames go; filled in place, which spares a copy of the largest tensors."""
        batch, num_frames, colours, height, width = frames_BTCHW.shape
        scale = self.facts.scale
        shape = (batch, num_frames, colours, scale * height, scale * width)
        return frames_BTCHW.new_empty(shape, dtype=torch.float32)

    def _propagate_backward(self, frames: list[Frame], flows: PairFlows) -> list[Neighbour]:
        """The backward branch over the window, starting from nothing behind it."""
        following = nobody(frames[-1])
        flow = torch.zeros_like(flows.to_previous(0))
        found: list[Neighbour] = []
        for i in reversed(range(len(frames))):
            following = self.backward_branch(frames[i], [frames[i].encoded_BKhw], following, flow)
            found.append(following)
            flow = flows.to_previous(0) if i == 0 else flows.to_next(i - 1)
        return found[::-1]


class _Tail(nn.Module):
    """Features at half the size to the output, on top of the bicubic frame."""

    def __init__(self, num_feat: int, num_tail: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.up = hidden_conv3x3(num_feat, num_tail * SHUFFLE**2)
        self.hidden = hidden_conv3x3(num_tail, num_tail)
        self.last = conv3x3(num_tail, 3 * scale**2)
        nn.init.zeros_(self.last.weight)
        self.register_buffer("base", bicubic_filter(scale), persistent=False)

    def forward(self, feat_BKhw: Tensor, frame_BCHW: Tensor, into_BCHW: Tensor) -> None:
        """Write one restored frame."""
        feat = conv_leaky_relu(self.hidden, apart(conv_leaky_relu(self.up, feat_BKhw)))
        cells = self._bicubic(frame_BCHW).add_(self.last(feat))
        into_image(cells, into_BCHW)

    def _bicubic(self, frame_BCHW: Tensor) -> Tensor:
        """The frame enlarged, (B, 3 scale², H, W), in cells; a convolution is fastest."""
        kernel: Tensor = self.get_buffer("base").float()
        around = kernel.shape[-1] // 2
        framed = F.pad(frame_BCHW.float(), (around,) * 4, mode="replicate")
        return F.conv2d(channels_last(framed), kernel, groups=3)


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """What the network of these weights is built with; None if they are of another architecture."""
    if not {"encode.weight", "tail.last.weight", "flow.finest.0.weight"} <= weights.keys():
        return None
    return {
        "scale": math.isqrt(weights["tail.last.weight"].shape[0] // 3),
        "num_feat": weights["encode.weight"].shape[0],
        "num_blocks": num_blocks_of(weights, "backward_branch.trunk.main.2."),
        "num_tail": weights["tail.hidden.weight"].shape[0],
        "num_flow": weights["flow.finest.0.weight"].shape[0],
        "flow_levels": num_blocks_of(weights, "flow.matching."),
    }
