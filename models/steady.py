"""Steadiness of image networks: what they restore is carried along the optical flow.

A network that restores each frame by itself draws the same texture a little differently every time,
which flickers. Each of its results is therefore blended with the blended one of the frame before,
moved as the picture has moved since, as far as the two agree there:

    y_i = lerp(network(x_i), m, share),   m = y_{i-1} moved along the flow from x_i to x_{i-1}

The share is less, down to nothing, where the flow is wrong, something is uncovered, or the light
changes: frames are compared there in the size of the input, in which detail that flickers differs
little. Moving bicubically keeps the detail; bilinearly it would be lost from frame to frame.

B batch, T time, C colour, H, W size of the input; moved and restored frames are ``scale`` times
larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.layers.single_frame import SingleFrameNetwork
from vsr.models.network import Network, NetworkFacts
from vsr.models.ops.optical_flow import estimate_flow
from vsr.models.ops.warp import warp_sharply

CARRIED = 0.75
"""Share of the frame before where both agree."""

TOLERANCE = 0.04
"""Difference of the two, in [0, 1], at which a third of that share is left."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SteadyState:
    """State of a steadied network.

    Attributes:
        frame_BCHW: The last frame as it entered.
        steady_BCHW: The last frame as it left.
    """

    TAG: ClassVar[str] = "steady.v1"

    frame_BCHW: Tensor
    steady_BCHW: Tensor

    def after_gap(self) -> SteadyState:
        """The state after skipped frames: the flow then reaches over them."""
        return self


class Steady(Network[SteadyState]):
    """An image network whose results are blended along the flow.

    Args:
        network: A network that restores each frame by itself.

    Raises:
        ConfigurationError: It is another kind of network.
    """

    state_classes = (SteadyState,)

    def __init__(self, network: Network[Any]) -> None:
        super().__init__()
        if not isinstance(network, SingleFrameNetwork):
            raise ConfigurationError(
                f"{network.facts.name} sees neighbouring frames by itself; leave steadiness "
                "(--steady) to networks that restore each frame by itself (srvgg, rrdbnet)"
            )
        self.network, inner = network, network.facts
        self.facts = NetworkFacts(name=f"steady {inner.name}", scale=inner.scale, chunk=inner.chunk)

    def step(
        self,
        window_BTCHW: Tensor,
        state: SteadyState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, SteadyState]:
        restored_BTCHW, _ = self.network.step(window_BTCHW, None, num_keep)
        steady_BTCHW = torch.empty_like(restored_BTCHW)
        for i in range(num_keep):
            frame_BCHW, steady_BCHW = window_BTCHW[:, i], restored_BTCHW[:, i]
            if state is not None:
                steady_BCHW = self._blended(frame_BCHW, steady_BCHW, state)
            steady_BTCHW[:, i] = steady_BCHW
            state = SteadyState(frame_BCHW=frame_BCHW, steady_BCHW=steady_BCHW)
        assert state is not None
        frame_BCHW, steady_BCHW = state.frame_BCHW.clone(), state.steady_BCHW.clone()
        return steady_BTCHW, SteadyState(frame_BCHW=frame_BCHW, steady_BCHW=steady_BCHW)

    def _blended(self, frame_BCHW: Tensor, restored_BCHW: Tensor, before: SteadyState) -> Tensor:
        """A restored frame with its share of the one before."""
        flow_B2HW = estimate_flow(frame_BCHW, before.frame_BCHW)
        moved_BCHW = warp_sharply(before.steady_BCHW, self._enlarged(flow_B2HW, self.facts.scale))
        unlike_BCHW = F.avg_pool2d(restored_BCHW - moved_BCHW, self.facts.scale)
        unlike_B1HW = _around(unlike_BCHW.abs().mean(1, keepdim=True))
        share_B1HW = CARRIED * torch.exp(-(unlike_B1HW / TOLERANCE).square())
        return restored_BCHW.lerp(moved_BCHW, self._enlarged(share_B1HW))

    def _enlarged(self, values_BCHW: Tensor, unit: float = 1) -> Tensor:
        """Values in the size of restored frames, multiplied by ``unit``."""
        scale = self.facts.scale
        if scale == 1:
            return values_BCHW
        size = scale * values_BCHW.shape[-2], scale * values_BCHW.shape[-1]
        return unit * F.interpolate(values_BCHW, size, mode="bilinear", align_corners=False)


def _around(values_BCHW: Tensor) -> Tensor:
    """Means of 3x3 pixels, of those within the frame."""
    return F.avg_pool2d(values_BCHW, 3, 1, 1, count_include_pad=False)
