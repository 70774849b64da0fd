"""What every flow-aligned recurrent network carries from step to step.

B batch, T time, P pairs of consecutive frames, C colour, K features, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FlowEstimator = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class PropagationState:
    """A stream's past, and the flows already known of its future.

    Attributes:
        feat_BKHW: Forward features at the last restored frame.
        frame_BCHW: The last restored frame as it entered, for the flow to the next one.
        forward_BP2HW: Flows to the previous frame, of the frames seen as look-ahead.
        backward_BP2HW: Flows to the next frame, of the same pairs.
    """

    feat_BKHW: Tensor
    frame_BCHW: Tensor
    forward_BP2HW: Tensor
    backward_BP2HW: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class PairFlows:
    """Flows within one window, and across its left border where there is a past.

    Attributes:
        forward_BT2HW: From every frame to the one before it; zeros at the first frame of a scene.
        backward_BT2HW: To every frame from the one before it; zeros at the first frame of a scene.
    """

    forward_BT2HW: Tensor
    backward_BT2HW: Tensor

    def to_previous(self, i: int) -> Tensor:
        """(B, 2, H, W): flow from frame i to frame i - 1."""
        return self.forward_BT2HW[:, i]

    def to_next(self, i: int) -> Tensor:
        """(B, 2, H, W): flow from frame i to frame i + 1."""
        return self.backward_BT2HW[:, i + 1]

    def leave(self, feat_BKHW: Tensor, window_BTCHW: Tensor, num_keep: int) -> PropagationState:
        """The state after ``num_keep`` frames, the forward branch having reached ``feat_BKHW``."""
        return PropagationState(
            feat_BKHW=feat_BKHW,
            frame_BCHW=window_BTCHW[:, num_keep - 1].clone(),
            forward_BP2HW=self.forward_BT2HW[:, num_keep:].clone(),
            backward_BP2HW=self.backward_BT2HW[:, num_keep:].clone(),
        )


def pair_flows(
    estimate: FlowEstimator, window_BTCHW: Tensor, state: PropagationState | None
) -> PairFlows:
    """Flows of all pairs of a window, each pair of the stream estimated once.

    Args:
        estimate: (reference, neighbour), each (N, 3, H, W), to flow (N, 2, H, W) in pixels.
        window_BTCHW: Frames to restore, then the look-ahead.
        state: What the stream knows already.
    """
    if state is None:
        fresh = _estimate_pairs(estimate, window_BTCHW)
        nothing = window_BTCHW.new_zeros((len(window_BTCHW), 1, 2, *window_BTCHW.shape[-2:]))
        known = (nothing, nothing)
    else:
        known = (state.forward_BP2HW, state.backward_BP2HW)
        frames = torch.cat([state.frame_BCHW[:, None], window_BTCHW], 1)
        fresh = _estimate_pairs(estimate, frames[:, known[0].shape[1] :])
    forward, backward = (torch.cat(pair, 1) for pair in zip(known, fresh, strict=True))
    return PairFlows(forward_BT2HW=forward, backward_BT2HW=backward)


def _estimate_pairs(estimate: FlowEstimator, frames_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Both directions of every pair in one batch; empty where there is one frame."""
    earlier, later = frames_BTCHW[:, :-1], frames_BTCHW[:, 1:]
    batch, pairs = earlier.shape[:2]
    if pairs == 0:
        nothing = frames_BTCHW.new_zeros((batch, 0, 2, *frames_BTCHW.shape[-2:]))
        return nothing, nothing
    reference = torch.cat([later, earlier]).flatten(0, 1)
    neighbour = torch.cat([earlier, later]).flatten(0, 1)
    flow = estimate(reference, neighbour)
    flow = flow.view(2 * batch, pairs, *flow.shape[1:])
    return flow[:batch], flow[batch:]
