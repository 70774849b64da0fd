"""A vivid network with an artefact guard, which shows a faithful result where detail is invented.

Where the results of both differ more than vivid detail explains (``detection``), the faithful one's
is shown. What was found lasts for some frames, and while it lasts less is enough to find it again:
regions neither flicker nor leave at once. A scene begins without any.

B batch, T time, C colour, H, W size of the restored frames, h, w of their cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.blend import Blend, BlendState
from vsr.models.guard.detection import CELL, RADIUS, found_share
from vsr.models.network import Network

RELEASE = 0.7
"""Share of the faithful result that is left a frame after nothing is found any more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GuardState(BlendState):
    """State of a guard, whose share is of the cells of a frame."""

    TAG: ClassVar[str] = "guard.v1"
    replaces: ClassVar[bool] = True

    @staticmethod
    def enlarged(share_Nhw: Tensor, height: int, width: int) -> Tensor:
        """(N, 1, height, width): the share of every pixel, without steps between cells."""
        share_N1HW = F.interpolate(share_Nhw[:, None], scale_factor=CELL, mode="bilinear")
        return share_N1HW[..., :height, :width]


class Guarded(Blend[GuardState]):
    """A vivid network whose artefacts are replaced by a faithful network's result.

    Args:
        vivid: The network whose result is shown where nothing is found.
        faithful: A network of the same scale that invents little.

    Raises:
        ConfigurationError: The networks have different scales.
    """

    state_classes = (GuardState,)

    def __init__(self, vivid: Network[Any], faithful: Network[Any]) -> None:
        super().__init__(vivid, faithful, name="{}, guarded by {}", reach=RADIUS)

    def shares(
        self,
        window_BTCHW: Tensor,
        vivid_BTCHW: Tensor,
        faithful_BTCHW: Tensor,
        before_BThw: Tensor | None,
    ) -> Tensor:
        shares: list[Tensor] = []
        last_Bhw = None if before_BThw is None else before_BThw[:, -1]
        for vivid_BCHW, faithful_BCHW in zip(
            vivid_BTCHW.unbind(1), faithful_BTCHW.unbind(1), strict=True
        ):
            found_Bhw = found_share(vivid_BCHW, faithful_BCHW, last_Bhw)
            last_Bhw = found_Bhw if last_Bhw is None else found_Bhw.maximum(RELEASE * last_Bhw)
            shares.append(last_Bhw)
        return torch.stack(shares, 1)
