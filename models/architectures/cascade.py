"""EDVR's two-stage cascade: a second EDVR refines what a first one restored.

Wang et al., "EDVR: Video Restoration with Enhanced Deformable Convolutional Networks", CVPRW 2019,
section 3.1: the winning entries of NTIRE 2019 ran a shallower network over the first one's output,
at the same size. Second stages were released with the first code (github.com/xinntao/EDVR) under
Apache-2.0.

    y_i = first(x_{i-2}, ..., x_{i+2})       z_i = second(y_{i-2}, ..., y_{i+2})

z_i depends on x_{i-4} to x_{i+4}: the first stage runs ahead of the second by the second's
neighbours, and what it restored ahead waits in the state. Only frames whose neighbours have all
been seen are restored ahead, so that what waits is what the whole clip would give. Each stage
reflects its own windows at the ends of a scene; where one begins, that reaches twice as far ahead.
As between the published programs, which met in files of pictures, values are clamped to [0, 1]
between the stages; they are not rounded.

B batch, T time, C colour, H, W size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.architectures import edvr
from vsr.models.architectures.edvr import EDVR, EDVRState
from vsr.models.network import Network, NetworkFacts

STAGES = ("first", "second")
"""Names of the two networks, in front of the names of their weights."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CascadeState:
    """The states of both stages and the frames between them.

    Attributes:
        first: State of the first stage, after the frames of ``ahead_BTCHW``.
        second: State of the second stage.
        ahead_BTCHW: Frames restored only by the first stage.
    """

    TAG: ClassVar[str] = "cascade.v1"

    first: EDVRState
    second: EDVRState
    ahead_BTCHW: Tensor


class Cascade(Network[CascadeState]):
    """Restoration by two EDVR, one after the other.

    Args:
        first: Options of the network that sees the input.
        second: Options of the network that refines; it has to have ``hr_in``.

    Raises:
        ConfigurationError: The second network enlarges.
    """

    state_classes = (CascadeState,)

    def __init__(self, *, first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
        super().__init__()
        self.first, self.second = EDVR(**first), EDVR(**second)
        if self.second.facts.scale != 1:
            raise ConfigurationError(
                f"the second stage of a cascade enlarges x{self.second.facts.scale}; "
                "give an EDVR that keeps the size (hr_in)"
            )
        self.facts = NetworkFacts(
            name="cascade",
            scale=self.first.facts.scale,
            look_ahead=self.first.facts.look_ahead + self.second.facts.look_ahead,
            chunk=self.first.facts.chunk,
            # What is restored ahead depends on whether the last frame is the scene's.
            sees_end=True,
        )

    def step(
        self,
        window_BTCHW: Tensor,
        state: CascadeState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, CascadeState]:
        between = [] if state is None else [state.ahead_BTCHW]
        first = None if state is None else state.first
        num_ready = sum(frames.shape[1] for frames in between)
        num_certain = self._num_certain(first, num_ready, window_BTCHW.shape[1], ends_scene)
        num_wanted = max(num_keep, min(num_certain, self._num_needed(state, num_keep)))
        if num_wanted > num_ready:
            restored_BTCHW, first = self.first.step(
                window_BTCHW[:, num_ready:], first, num_wanted - num_ready, ends_scene=ends_scene
            )
            between.append(restored_BTCHW.clamp(0, 1))
        assert first is not None
        between_BTCHW = torch.cat(between, 1)
        refined_BTCHW, second = self.second.step(
            between_BTCHW, None if state is None else state.second, num_keep
        )
        ahead = between_BTCHW[:, num_keep:].clone()
        return refined_BTCHW, CascadeState(first=first, second=second, ahead_BTCHW=ahead)

    def _num_needed(self, state: CascadeState | None, num_keep: int) -> int:
        """Frames of the window that the second stage looks at."""
        num_past = 0 if state is None else state.second.num_past
        radius = self.second.num_frame // 2
        return max(num_keep + radius, 2 * radius + 1 - num_past)

    def _num_certain(
        self, first: EDVRState | None, num_ready: int, num_seen: int, ends_scene: bool
    ) -> int:
        """Frames of the window that the first stage restores as it would in the whole clip."""
        radius = self.first.num_frame // 2
        num_past = 0 if first is None else first.num_past
        if ends_scene:
            return num_seen
        return num_seen - radius if num_past + num_seen - num_ready > 2 * radius else 0


def options_from_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The options of the network that weights belong to; None for another architecture."""
    options = {stage: edvr.options_from_weights(of_stage(weights, stage)) for stage in STAGES}
    return None if None in options.values() else options


def of_stage(weights: Mapping[str, Tensor], stage: str) -> dict[str, Tensor]:
    """The weights of one of the two networks, under its own names."""
    prefix = f"{stage}."
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def join_stages(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a cascade from those of two EDVR."""
    return {
        f"{stage}.{name}": value
        for stage, weights in zip(STAGES, (first, second), strict=True)
        for name, value in weights.items()
    }
