"""Strength by region: a map of the frame says where which of two networks' results is shown.

The map is painted, or follows what coding has left of each frame (``coarseness``). A vivid
network's low band is tied to the faithful one's: what it adds lies beyond the resolution of the
input.

B batch, T time, C colour, H, W size of the restored frames, h, w size of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.models.blend import Blend, BlendState
from vsr.models.coarseness import REACH, strength
from vsr.models.network import Network

RATE = 0.2
"""Share of a frame's own map in the map that holds for it; the rest is that of the frame before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionsState(BlendState):
    """State of a blend by region, whose share is of the pixels of the input."""

    TAG: ClassVar[str] = "regions.v1"
    replaces: ClassVar[bool] = False

    @staticmethod
    def enlarged(share_Nhw: Tensor, height: int, width: int) -> Tensor:
        """(N, 1, height, width): the share of every restored pixel."""
        return _resized(share_Nhw[:, None], height, width)


class _Tied(Blend[RegionsState]):
    """A blend by region whose vivid result may have the low band of the faithful one."""

    state_classes = (RegionsState,)
    ties_low_band: bool

    def shown(self, vivid_BCHW: Tensor, faithful_BCHW: Tensor) -> Tensor:
        if not self.ties_low_band:
            return vivid_BCHW
        return tied(vivid_BCHW, faithful_BCHW, max(2, self.facts.scale))


class ByQuality(_Tied):
    """A vivid and a faithful network, blended by how coarsely each region of a frame was coded.

    What a map says of a frame is a share of ``RATE`` of the next one's: regions come and go within
    some frames. A scene begins with what its first frame says.

    Args:
        vivid: The network whose result is shown where quality is worst.
        faithful: A network of the same scale, whose result is shown where it is best.
        ties_low_band: Whether the low band of the vivid result is the faithful one's.

    Raises:
        ConfigurationError: The networks have different scales.
    """

    def __init__(
        self, vivid: Network[Any], faithful: Network[Any], *, ties_low_band: bool = False
    ) -> None:
        reach = REACH * vivid.facts.scale
        super().__init__(vivid, faithful, name="{} and {} by quality", reach=reach)
        self.ties_low_band = ties_low_band

    def shares(
        self,
        window_BTCHW: Tensor,
        vivid_BTCHW: Tensor,
        faithful_BTCHW: Tensor,
        before_BThw: Tensor | None,
    ) -> Tensor:
        shares: list[Tensor] = []
        last_Bhw = None if before_BThw is None else before_BThw[:, -1]
        for frame_BCHW in window_BTCHW[:, : vivid_BTCHW.shape[1]].unbind(1):
            share_Bhw = 1 - strength(frame_BCHW)
            last_Bhw = share_Bhw if last_Bhw is None else last_Bhw.lerp(share_Bhw, RATE)
            shares.append(last_Bhw)
        return torch.stack(shares, 1)


class ByRegion(_Tied):
    """A vivid and a faithful network, blended by a map of strength.

    Args:
        vivid: The network whose result is shown with strength 1.
        faithful: A network of the same scale, whose result is shown with strength 0.
        map_1hw: Strength that holds for all frames, 0 to 1; stretched over the frame.
        ties_low_band: Whether the low band of the vivid result is the faithful one's.

    Raises:
        ConfigurationError: The networks have different scales.
    """

    map_1hw: Tensor

    def __init__(
        self,
        vivid: Network[Any],
        faithful: Network[Any],
        map_1hw: Tensor,
        *,
        ties_low_band: bool = False,
    ) -> None:
        super().__init__(vivid, faithful, name="{} and {} by region", reach=1)
        self.register_buffer("map_1hw", map_1hw)
        self.ties_low_band = ties_low_band

    def part(self, size: tuple[int, int], rows: slice, columns: slice) -> ByRegion:
        whole_1hw = _resized(self.map_1hw[None].float(), *size)[0]
        cut_1hw = whole_1hw[:, rows, columns]
        return ByRegion(self.vivid, self.faithful, cut_1hw, ties_low_band=self.ties_low_band)

    def shares(
        self,
        window_BTCHW: Tensor,
        vivid_BTCHW: Tensor,
        faithful_BTCHW: Tensor,
        before_BThw: Tensor | None,
    ) -> Tensor:
        height, width = window_BTCHW.shape[-2:]
        strength_11hw = _resized(self.map_1hw[None].float(), height, width)
        share_11hw = (1 - strength_11hw).to(window_BTCHW.device)
        return share_11hw.expand(*vivid_BTCHW.shape[:2], -1, -1).clone()


def tied(vivid_BCHW: Tensor, faithful_BCHW: Tensor, side: int) -> Tensor:
    """A vivid result with the low band of a faithful one.

    Args:
        vivid_BCHW: (B, 3, H, W).
        faithful_BCHW: The same size.
        side: Side of the squares whose means are those of the faithful result afterwards: with 2 or
            4 the low band of one or two Haar transforms.
    """
    difference_BChw = F.avg_pool2d(faithful_BCHW - vivid_BCHW, side, ceil_mode=True)
    height, width = vivid_BCHW.shape[-2:]
    change = F.interpolate(difference_BChw, scale_factor=side, mode="nearest")
    return vivid_BCHW + change[..., :height, :width]


def _resized(map_N1hw: Tensor, height: int, width: int) -> Tensor:
    if map_N1hw.shape[-2:] == (height, width):
        return map_N1hw
    return F.interpolate(map_N1hw, (height, width), mode="bilinear", antialias=True)
