"""Two networks blended by region: the strong one's result in some places, the mild one's elsewhere.

Both restore the same window, and a map of the frame says where which result is shown. A vivid
network's low band is tied to the mild one's: what it adds lies beyond the resolution of the input.

B batch, T time, C colour, H, W size of the restored frames, h, w size of the map.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.network import Network, NetworkFacts


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionsState:
    """The states of both networks, and the map of the last step.

    Attributes:
        strong: State of the strong network.
        mild: State of the mild network.
        strength_BThw: Strength at each pixel of the input in the last step; None before the first.
    """

    TAG: ClassVar[str] = "regions.v1"
    replaces: ClassVar[bool] = False

    strong: Any
    mild: Any
    strength_BThw: Tensor | None

    def after_gap(self) -> RegionsState:
        """The state after skipped frames: of each network what it can continue with."""
        return replace(self, strong=_after_gap(self.strong), mild=_after_gap(self.mild))

    def faithful_share(self, height: int, width: int) -> Tensor | None:
        """The share of the mild result in the frames of the last step.

        Args:
            height: Rows of a restored frame.
            width: Columns of a restored frame.

        Returns:
            (B, T, 1, height, width), 0 to 1; None before the first step.
        """
        if self.strength_BThw is None:
            return None
        batch, num_frames = self.strength_BThw.shape[:2]
        strength = _resized(self.strength_BThw.flatten(0, 1)[:, None], height, width)
        return 1 - strength.view(batch, num_frames, 1, height, width)


class ByRegion(Network[RegionsState]):
    """A strong and a mild network, blended by a map of strength.

    Args:
        strong: The network whose result is shown with strength 1.
        mild: A network of the same scale, whose result is shown with strength 0.
        map_1hw: Strength that holds for all frames, 0 to 1; stretched over the frame.
        ties_low_band: Whether the low band of the strong result is the mild one's.

    Raises:
        ConfigurationError: The networks have different scales.
    """

    state_classes = (RegionsState,)
    map_1hw: Tensor

    def __init__(
        self,
        strong: Network[Any],
        mild: Network[Any],
        map_1hw: Tensor,
        *,
        ties_low_band: bool = False,
    ) -> None:
        super().__init__()
        ends = strong.facts, mild.facts
        if ends[0].scale != ends[1].scale:
            raise ConfigurationError(
                f"{ends[0].name} enlarges x{ends[0].scale}, {ends[1].name} x{ends[1].scale}; the "
                "two ends of a strength map need one scale"
            )
        self.strong, self.mild = strong, mild
        self.register_buffer("map_1hw", map_1hw)
        self.ties_low_band = ties_low_band
        self.facts = NetworkFacts(
            name=f"{ends[0].name} and {ends[1].name} by region",
            scale=ends[0].scale,
            look_ahead=max(end.look_ahead for end in ends),
            chunk=min(end.chunk for end in ends),
            sees_end=any(end.sees_end for end in ends),
            receptive_radius=_radius(*ends),
        )

    def part(self, size: tuple[int, int], rows: slice, columns: slice) -> ByRegion:
        whole_1hw = _resized(self.map_1hw[None].float(), *size)[0]
        return ByRegion(
            self.strong,
            self.mild,
            whole_1hw[:, rows, columns],
            ties_low_band=self.ties_low_band,
        )

    def begin(self, tiles: Iterable[Tensor]) -> RegionsState | None:
        seen = list(tiles)
        strong, mild = self.strong.begin(seen), self.mild.begin(seen)
        if strong is None and mild is None:
            return None
        return RegionsState(strong=strong, mild=mild, strength_BThw=None)

    def step(
        self,
        window_BTCHW: Tensor,
        state: RegionsState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, RegionsState]:
        before = state or RegionsState(strong=None, mild=None, strength_BThw=None)
        strong_BTCHW, strong = self.strong.step(
            window_BTCHW, before.strong, num_keep, ends_scene=ends_scene
        )
        mild_BTCHW, mild = self.mild.step(
            window_BTCHW, before.mild, num_keep, ends_scene=ends_scene
        )
        size = window_BTCHW.shape[-2], window_BTCHW.shape[-1]
        strength_11hw = _resized(self.map_1hw[None].float(), *size).to(window_BTCHW.device)
        share_11HW = _resized(strength_11hw, *strong_BTCHW.shape[-2:])
        restored_BTCHW = torch.empty_like(strong_BTCHW)
        for i in range(num_keep):
            strong_BCHW, mild_BCHW = strong_BTCHW[:, i], mild_BTCHW[:, i]
            if self.ties_low_band:
                strong_BCHW = tied(strong_BCHW, mild_BCHW, max(2, self.facts.scale))
            torch.lerp(mild_BCHW, strong_BCHW, share_11HW, out=restored_BTCHW[:, i])
        strength_BThw = strength_11hw.expand(len(window_BTCHW), num_keep, -1, -1).clone()
        return restored_BTCHW, RegionsState(strong=strong, mild=mild, strength_BThw=strength_BThw)


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


def _radius(strong: NetworkFacts, mild: NetworkFacts) -> int | None:
    """Input pixels on each side that a pixel depends on; None where a network's are not known."""
    if strong.receptive_radius is None or mild.receptive_radius is None:
        return None
    return max(strong.receptive_radius, mild.receptive_radius) + 1


def _after_gap(state: Any) -> Any:
    return state.after_gap() if hasattr(state, "after_gap") else None
