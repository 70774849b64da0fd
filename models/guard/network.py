"""A vivid network with an artefact guard: what it has invented is shown as a faithful one has it.

Both networks restore the same window. Where their results differ more than vivid detail explains
(``detection``), the faithful one's is shown. What was found lasts for some frames, and while it
lasts less is enough to find it again: regions neither flicker nor leave at once. A scene begins
without any.

B batch, T time, C colour, H, W size of the restored frames, h, w of their cells.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.guard.detection import CELL, RADIUS, found_share
from vsr.models.network import Network, NetworkFacts

RELEASE = 0.7
"""Share of the faithful result that is left a frame after nothing is found any more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GuardState:
    """The states of both networks and the regions of the last step.

    Attributes:
        vivid: State of the vivid network.
        faithful: State of the faithful network.
        share_BThw: Share of the faithful result in each cell of the frames of the last step, 0 to
            1; None before the first.
    """

    TAG: ClassVar[str] = "guard.v1"
    replaces: ClassVar[bool] = True

    vivid: Any
    faithful: Any
    share_BThw: Tensor | None

    def after_gap(self) -> GuardState:
        """The state after skipped frames: of each network what it can continue with."""
        return replace(self, vivid=_after_gap(self.vivid), faithful=_after_gap(self.faithful))

    def faithful_share(self, height: int, width: int) -> Tensor | None:
        """The share of the faithful result in the frames of the last step.

        Args:
            height: Rows of a restored frame.
            width: Columns of a restored frame.

        Returns:
            (B, T, 1, height, width), 0 to 1; None before the first step.
        """
        if self.share_BThw is None:
            return None
        batch, num_frames = self.share_BThw.shape[:2]
        share_N1HW = _enlarged(self.share_BThw.flatten(0, 1), height, width)
        return share_N1HW.view(batch, num_frames, 1, height, width)


class Guarded(Network[GuardState]):
    """A vivid network whose artefacts are replaced by what a faithful one makes.

    Args:
        vivid: The network whose result is shown where nothing is found.
        faithful: A network of the same scale that invents little.

    Raises:
        ConfigurationError: The networks have different scales.
    """

    state_classes = (GuardState,)

    def __init__(self, vivid: Network[Any], faithful: Network[Any]) -> None:
        super().__init__()
        ends = vivid.facts, faithful.facts
        if ends[0].scale != ends[1].scale:
            raise ConfigurationError(
                f"{ends[0].name} enlarges x{ends[0].scale}, {ends[1].name} x{ends[1].scale}; the "
                "two ends of a guard need one scale"
            )
        self.vivid, self.faithful = vivid, faithful
        self.facts = NetworkFacts(
            name=f"{ends[0].name}, guarded by {ends[1].name}",
            scale=ends[0].scale,
            look_ahead=max(end.look_ahead for end in ends),
            chunk=min(end.chunk for end in ends),
            sees_end=any(end.sees_end for end in ends),
            receptive_radius=_radius(*ends),
        )

    def begin(self, tiles: Iterable[Tensor]) -> GuardState | None:
        seen = list(tiles)
        vivid, faithful = self.vivid.begin(seen), self.faithful.begin(seen)
        if vivid is None and faithful is None:
            return None
        return GuardState(vivid=vivid, faithful=faithful, share_BThw=None)

    def step(
        self,
        window_BTCHW: Tensor,
        state: GuardState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, GuardState]:
        before = GuardState(vivid=None, faithful=None, share_BThw=None) if state is None else state
        vivid_BTCHW, vivid = self.vivid.step(
            window_BTCHW, before.vivid, num_keep, ends_scene=ends_scene
        )
        faithful_BTCHW, faithful = self.faithful.step(
            window_BTCHW, before.faithful, num_keep, ends_scene=ends_scene
        )
        share_BThw = self._shares(vivid_BTCHW, faithful_BTCHW, before.share_BThw)
        restored_BTCHW = torch.empty_like(vivid_BTCHW)
        height, width = vivid_BTCHW.shape[-2:]
        for i in range(num_keep):
            share_B1HW = _enlarged(share_BThw[:, i], height, width)
            torch.lerp(
                vivid_BTCHW[:, i], faithful_BTCHW[:, i], share_B1HW, out=restored_BTCHW[:, i]
            )
        return restored_BTCHW, GuardState(vivid=vivid, faithful=faithful, share_BThw=share_BThw)

    def _shares(
        self, vivid_BTCHW: Tensor, faithful_BTCHW: Tensor, before_BThw: Tensor | None
    ) -> Tensor:
        """(B, T, h, w): the share of the faithful result in each cell."""
        shares: list[Tensor] = []
        last_Bhw = None if before_BThw is None else before_BThw[:, -1]
        for vivid_BCHW, faithful_BCHW in zip(
            vivid_BTCHW.unbind(1), faithful_BTCHW.unbind(1), strict=True
        ):
            found_Bhw = found_share(vivid_BCHW, faithful_BCHW, last_Bhw)
            last_Bhw = found_Bhw if last_Bhw is None else found_Bhw.maximum(RELEASE * last_Bhw)
            shares.append(last_Bhw)
        return torch.stack(shares, 1)


def _enlarged(share_Nhw: Tensor, height: int, width: int) -> Tensor:
    """(N, 1, height, width): the share of every pixel, without steps between cells."""
    share_N1HW = F.interpolate(share_Nhw[:, None], scale_factor=CELL, mode="bilinear")
    return share_N1HW[..., :height, :width]


def _radius(vivid: NetworkFacts, faithful: NetworkFacts) -> int | None:
    """Input pixels on each side that a pixel depends on; None where a network's are not known."""
    if vivid.receptive_radius is None or faithful.receptive_radius is None:
        return None
    return max(vivid.receptive_radius, faithful.receptive_radius) - (-RADIUS // vivid.scale)


def _after_gap(state: Any) -> Any:
    return state.after_gap() if hasattr(state, "after_gap") else None
