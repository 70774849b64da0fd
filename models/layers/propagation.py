"""State and flows of flow-aligned recurrent networks.

B batch, T time, P pairs of consecutive frames, C colour, K features, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

Pyramid = list[Tensor]
"""One frame at several sizes, in the order and form its flow estimator likes."""

PIXELS_AT_ONCE = 2**19
"""Pixels whose flow is estimated together: more would leave a CPU's caches, and take half as long
again (9 pairs of 320x180 against 38); a window's length no longer counts in memory."""


class FlowEstimator(Protocol):
    """A flow network in two parts, so that what depends on one frame is done once per frame."""

    def pyramid(self, frames_NCHW: Tensor) -> Pyramid:
        """Prepare frames; every level has N first."""
        ...

    def between(self, reference: Pyramid, neighbour: Pyramid) -> Tensor:
        """Flow (N, 2, H, W) in pixels from each reference to its neighbour, float32."""
        ...


class KnownFlows(Protocol):
    """The part of a state that holds known flows."""

    @property
    def frame_BCHW(self) -> Tensor: ...

    @property
    def forward_BP2HW(self) -> Tensor: ...

    @property
    def backward_BP2HW(self) -> Tensor: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PropagationState:
    """A stream's past, and the flows of its look-ahead.

    Attributes:
        feat_BKHW: Forward features at the last restored frame.
        frame_BCHW: The last restored frame as it entered, for the flow to the next one.
        forward_BP2HW: Flows to the previous frame, of the frames seen as look-ahead.
        backward_BP2HW: Flows to the next frame, of the same pairs.
    """

    TAG: ClassVar[str] = "propagation.v1"

    feat_BKHW: Tensor
    frame_BCHW: Tensor
    forward_BP2HW: Tensor
    backward_BP2HW: Tensor

    def after_gap(self) -> PropagationState:
        """The past without the look-ahead, for a next frame that does not follow the last one."""
        return replace(
            self,
            forward_BP2HW=self.forward_BP2HW[:, :0],
            backward_BP2HW=self.backward_BP2HW[:, :0],
        )


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

    def next_state(
        self, feat_BKHW: Tensor, window_BTCHW: Tensor, num_keep: int
    ) -> PropagationState:
        """The state after ``num_keep`` frames, the forward branch having reached ``feat_BKHW``."""
        return PropagationState(
            feat_BKHW=feat_BKHW,
            frame_BCHW=window_BTCHW[:, num_keep - 1].clone(),
            forward_BP2HW=self.forward_BT2HW[:, num_keep:].clone(),
            backward_BP2HW=self.backward_BT2HW[:, num_keep:].clone(),
        )


def pair_flows(
    estimator: FlowEstimator, window_BTCHW: Tensor, state: KnownFlows | None
) -> PairFlows:
    """Flows of all pairs of a window, each pair of the stream estimated once.

    Args:
        estimator: Sees every frame once in a window, and every pair once in a stream.
        window_BTCHW: Frames to restore, then the look-ahead.
        state: State of the stream before the window.
    """
    if state is None:
        fresh = _estimate_pairs(estimator, window_BTCHW)
        nothing = window_BTCHW.new_zeros((len(window_BTCHW), 1, 2, *window_BTCHW.shape[-2:]))
        known = (nothing, nothing)
    else:
        known = (state.forward_BP2HW, state.backward_BP2HW)
        frames = torch.cat([state.frame_BCHW[:, None], window_BTCHW], 1)
        fresh = _estimate_pairs(estimator, frames[:, known[0].shape[1] :])
    forward, backward = (torch.cat(pair, 1) for pair in zip(known, fresh, strict=True))
    return PairFlows(forward_BT2HW=forward, backward_BT2HW=backward)


def _estimate_pairs(estimator: FlowEstimator, frames_BTCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Both directions of every pair; empty where there are fewer than two frames."""
    batch, num_frames, _, height, width = frames_BTCHW.shape
    if num_frames <= 1:
        nothing = frames_BTCHW.new_zeros((batch, 0, 2, height, width))
        return nothing, nothing
    pyramid = estimator.pyramid(frames_BTCHW.flatten(0, 1))
    levels = [level.view(batch, num_frames, *level.shape[1:]) for level in pyramid]
    earlier, later = [x[:, :-1] for x in levels], [x[:, 1:] for x in levels]
    at_once = max(1, PIXELS_AT_ONCE // (height * width))
    pieces = (_pieces(pair, at_once) for pair in ((later, earlier), (earlier, later)))
    flow = torch.cat([estimator.between(*both) for both in zip(*pieces, strict=True)])
    flow = flow.view(2 * batch, num_frames - 1, 2, height, width)
    return flow[:batch], flow[batch:]


def _pieces(pair: tuple[Pyramid, Pyramid], at_once: int) -> list[Pyramid]:
    """Two pyramids (B, P, ...), concatenated, in pieces of a few frames."""
    stacked = (torch.cat(levels).flatten(0, 1) for levels in zip(*pair, strict=True))
    split = (torch.split(level, at_once) for level in stacked)
    return [list(piece) for piece in zip(*split, strict=True)]
