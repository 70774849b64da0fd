"""``compact``: our own real-time network, coupled bidirectional propagation at half the input size.

    b_i, d_i = backward([e_i, from next(b, d, x)])           e_i = encode(u(x_i))
    f_i, d_i = forward([e_i, b_i, from previous(f, d, x)])
    y_i = shuffle(tail(f_i) + bicubic(x_i))

Everything expensive runs at a quarter of the input's pixels (u unshuffles by 2), where convolutions
are fastest. Interpolated at that size, or at the input's, a neighbour loses the detail between
two pixels, which super-resolution depends on. So three things are taken from a neighbour:
its features, moved as if they were at the input's size; the neighbour itself, sampled at twice its
size, where interpolation loses nothing; and the draft d, the brightness at twice the input's size
as known so far, which each frame corrects a little. Frame and draft are given as differences to
this frame, which motion that is understood makes small. Coupled propagation is IconVSR's (Chan et
al., CVPR 2021); that an estimate is moved along and corrected, FRVSR's (Sajjadi et al., CVPR 2018).

B batch, T time, C colour, K features; H, W input size; h, w half of it.
Weights: Apache-2.0, see ``weights/``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.compact.branch import (
    SHUFFLE,
    Branch,
    Frame,
    PropagatedFrame,
    doubled,
    initial_neighbour,
)
from vsr.models.compact.calibration import Ranges, measure_ranges
from vsr.models.compact.flow import CoarseFlow
from vsr.models.compact.int8 import Int8Branch, Int8Tail
from vsr.models.compact.tail import Tail
from vsr.models.layers.blocks import channels_last, hidden_conv3x3, num_blocks_of
from vsr.models.layers.propagation import PairFlows, PropagationState, pair_flows
from vsr.models.network import Network, NetworkFacts
from vsr.models.ops.fused import conv_leaky_relu
from vsr.models.ops.grey import grey
from vsr.models.ops.int8_conv import HIGHEST, in_steps, to_levels
from vsr.models.ops.padding import pad_to_multiple

UNSHUFFLED = 3 * SHUFFLE**2
"""Channels of an unshuffled frame."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CompactState(PropagationState):
    """A stream's past.

    Attributes:
        draft_B1HW: The forward branch's draft of the last restored frame, twice the frame's size.
    """

    TAG: ClassVar[str] = "compact.v1"

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
        flow_refinements: Times that flow is refined at the end.
        has_ranges: Whether it is known how large its features get, so that it has a form on 8-bit
            integers.
    """

    state_classes = (CompactState,)

    def __init__(
        self,
        *,
        scale: int = 4,
        num_feat: int = 64,
        num_blocks: int = 2,
        num_tail: int = 32,
        num_flow: int = 32,
        flow_levels: int = 3,
        flow_refinements: int = 1,
        has_ranges: bool = False,
    ) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="compact", scale=scale, look_ahead=4, chunk=16)
        self.flow = CoarseFlow(num_feat=num_flow, levels=flow_levels, refinements=flow_refinements)
        self.encode = hidden_conv3x3(UNSHUFFLED, num_feat)
        self.backward_branch: Branch | Int8Branch = Branch(num_feat, num_feat, num_blocks)
        self.forward_branch: Branch | Int8Branch = Branch(2 * num_feat, num_feat, num_blocks)
        self.tail: Tail | Int8Tail = Tail(num_feat, num_tail, scale)
        self.ranges = Ranges(num_feat, num_blocks, num_tail) if has_ranges else None

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
        """Take a step and return the drafts of both branches too, backward first, for training.

        A draft is (B, 1, 2 H, 2 W), of the padded input; the backward branch drafts the whole
        window, the forward branch the frames to keep.
        """
        height, width = window_BTCHW.shape[-2:]
        window_BTCHW = pad_to_multiple(window_BTCHW, SHUFFLE)
        flows = pair_flows(self.flow, window_BTCHW, state)
        frames = [self.prepare(frame_BCHW) for frame_BCHW in window_BTCHW.unbind(1)]
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
        left = flows.next_state(last.feat_BKhw, window_BTCHW, num_keep)
        return (
            cropped,
            CompactState(**vars(left), draft_B1HW=last.draft_B1HW),
            ([neighbour.draft_B1HW for neighbour in backward], drafts),
        )

    def prepare(self, frame_BCHW: Tensor) -> Frame:
        """Prepare a padded frame."""
        brightness = grey(frame_BCHW)
        unshuffled = F.pixel_unshuffle(frame_BCHW.to(self.encode.weight.dtype), SHUFFLE)
        encoded = conv_leaky_relu(self.encode, channels_last(unshuffled))
        return Frame(
            grey_B1HW=brightness,
            cells_B4hw=channels_last(F.pixel_unshuffle(brightness, SHUFFLE)),
            doubled_B16hw=doubled(brightness),
            encoded_BKhw=to_levels(encoded.float()) if self.dtype == torch.int8 else encoded,
        )

    @property
    def dtype(self) -> torch.dtype:
        return torch.int8 if isinstance(self.tail, Int8Tail) else super().dtype

    @property
    def has_int8(self) -> bool:
        return self.ranges is not None

    def in_int8(self) -> Compact:
        if self.ranges is None:
            raise self._without_ranges()
        network = copy.deepcopy(self)
        assert isinstance(self.backward_branch, Branch)
        assert isinstance(self.forward_branch, Branch)
        assert isinstance(self.tail, Tail)
        backward, forward = self.ranges.backward_branch, self.ranges.forward_branch
        encoded = self.ranges.encoded_K
        network.encode = in_steps(self.encode, encoded / HIGHEST)
        network.backward_branch = Int8Branch(self.backward_branch, [encoded], backward)
        network.forward_branch = Int8Branch(
            self.forward_branch, [encoded, backward.features_K], forward
        )
        network.tail = Int8Tail(self.tail, self.ranges)
        return network

    def measured(self, clips_BTCHW: Iterable[Tensor]) -> Compact:
        network = copy.deepcopy(self)
        options = options_from_weights(self.state_dict())
        assert options is not None
        shape = (options[name] for name in ("num_feat", "num_blocks", "num_tail"))
        network.ranges = Ranges(*shape)
        measure_ranges(self, network.ranges, clips_BTCHW)
        return network

    def _before(self, frame: Frame, state: CompactState | None) -> PropagatedFrame:
        """Initial state of the forward branch."""
        if state is None:
            return initial_neighbour(frame)
        return PropagatedFrame(
            feat_BKhw=state.feat_BKHW,
            grey_B1HW=grey(state.frame_BCHW),
            draft_B1HW=state.draft_B1HW,
        )

    def _room_for(self, frames_BTCHW: Tensor) -> Tensor:
        """An empty tensor for restored frames; filled in place, which spares a large copy."""
        batch, num_frames, colours, height, width = frames_BTCHW.shape
        scale = self.facts.scale
        shape = (batch, num_frames, colours, scale * height, scale * width)
        return frames_BTCHW.new_empty(shape, dtype=torch.float32)

    def _propagate_backward(self, frames: list[Frame], flows: PairFlows) -> list[PropagatedFrame]:
        """The backward branch over the window, starting from zeros after it."""
        following = initial_neighbour(frames[-1])
        flow = torch.zeros_like(flows.to_previous(0))
        found: list[PropagatedFrame] = []
        for i in reversed(range(len(frames))):
            following = self.backward_branch(frames[i], [frames[i].encoded_BKhw], following, flow)
            found.append(following)
            flow = flows.to_previous(0) if i == 0 else flows.to_next(i - 1)
        return found[::-1]


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    if not {"encode.weight", "tail.last.weight", "flow.finest.0.0.weight"} <= weights.keys():
        return None
    return {
        "scale": math.isqrt(weights["tail.last.weight"].shape[0] // 3),
        "num_feat": weights["encode.weight"].shape[0],
        "num_blocks": num_blocks_of(weights, "backward_branch.trunk.main.2."),
        "num_tail": weights["tail.hidden.weight"].shape[0],
        "num_flow": weights["flow.finest.0.0.weight"].shape[0],
        "flow_levels": num_blocks_of(weights, "flow.matching."),
        "flow_refinements": num_blocks_of(weights, "flow.finest."),
        "has_ranges": "ranges.encoded_K" in weights,
    }
