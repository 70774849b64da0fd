"""Two networks in one: both restore the same window, and their results are blended.

The vivid result is shown but for a share of the faithful one, which says for each place how much of
it is taken instead. What differs between blends is where the share comes from.

B batch, T time, C colour, H, W size of the restored frames, h, w of the share.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.models.network import Network, NetworkFacts
from vsr.models.state_tree import after_gap


@dataclass(frozen=True, kw_only=True, eq=False)
class BlendState:
    """The states of both networks and the share in the last step.

    Attributes:
        vivid: State of the vivid network.
        faithful: State of the faithful network.
        share_BThw: Share of the faithful result in the frames of the last step, 0 to 1; None before
            the first.
    """

    replaces: ClassVar[bool]
    """Whether the faithful result is shown in place of artefacts."""

    vivid: Any = None
    faithful: Any = None
    share_BThw: Tensor | None = None

    @staticmethod
    @abstractmethod
    def enlarged(share_Nhw: Tensor, height: int, width: int) -> Tensor:
        """(N, 1, height, width): the share of every restored pixel."""

    def after_gap(self) -> Self:
        """The state after skipped frames: the part of each network's state that stays valid."""
        return replace(self, vivid=after_gap(self.vivid), faithful=after_gap(self.faithful))

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
        share_N1HW = self.enlarged(self.share_BThw.flatten(0, 1), height, width)
        return share_N1HW.view(*self.share_BThw.shape[:2], 1, height, width)


State = TypeVar("State", bound=BlendState)


class Blend(Network[State]):
    """A vivid and a faithful network whose results are blended.

    Args:
        vivid: The network whose result is shown with a share of 0.
        faithful: A network of the same scale.
        name: Format of the blend's name, with both networks' names to come.
        reach: Restored pixels on each side that the blend itself depends on.

    Raises:
        ConfigurationError: The networks have different scales.
    """

    def __init__(
        self, vivid: Network[Any], faithful: Network[Any], *, name: str, reach: int
    ) -> None:
        super().__init__()
        ends = vivid.facts, faithful.facts
        if ends[0].scale != ends[1].scale:
            raise ConfigurationError(
                f"{ends[0].name} enlarges x{ends[0].scale}, {ends[1].name} x{ends[1].scale}; two "
                "networks that are blended need one scale"
            )
        self.vivid, self.faithful = vivid, faithful
        self.facts = NetworkFacts(
            name=name.format(ends[0].name, ends[1].name),
            scale=ends[0].scale,
            look_ahead=max(end.look_ahead for end in ends),
            chunk=min(end.chunk for end in ends),
            sees_end=any(end.sees_end for end in ends),
            receptive_radius=_radius(*ends, reach),
        )

    @abstractmethod
    def shares(
        self,
        window_BTCHW: Tensor,
        vivid_BTCHW: Tensor,
        faithful_BTCHW: Tensor,
        before_BThw: Tensor | None,
    ) -> Tensor:
        """The share of the faithful result, (B, T, h, w), 0 to 1.

        Args:
            window_BTCHW: The window that both networks were given.
            vivid_BTCHW: The vivid result.
            faithful_BTCHW: The faithful result.
            before_BThw: The share in the step before; None at the first.
        """

    def shown(self, vivid_BCHW: Tensor, faithful_BCHW: Tensor) -> Tensor:
        """A vivid frame as it is shown where the share is 0."""
        return vivid_BCHW

    def begin(self, tiles: Iterable[Tensor]) -> State | None:
        seen = list(tiles)
        vivid, faithful = self.vivid.begin(seen), self.faithful.begin(seen)
        if vivid is None and faithful is None:
            return None
        return self._state(vivid=vivid, faithful=faithful)

    def step(
        self, window_BTCHW: Tensor, state: State | None, num_keep: int, *, ends_scene: bool = True
    ) -> tuple[Tensor, State]:
        before = self._state() if state is None else state
        vivid_BTCHW, vivid = self.vivid.step(
            window_BTCHW, before.vivid, num_keep, ends_scene=ends_scene
        )
        faithful_BTCHW, faithful = self.faithful.step(
            window_BTCHW, before.faithful, num_keep, ends_scene=ends_scene
        )
        share_BThw = self.shares(window_BTCHW, vivid_BTCHW, faithful_BTCHW, before.share_BThw)
        restored_BTCHW = torch.empty_like(vivid_BTCHW)
        for i in range(num_keep):
            faithful_BCHW = faithful_BTCHW[:, i]
            shown_BCHW = self.shown(vivid_BTCHW[:, i], faithful_BCHW)
            share_B1HW = before.enlarged(share_BThw[:, i], *shown_BCHW.shape[-2:])
            torch.lerp(shown_BCHW, faithful_BCHW, share_B1HW, out=restored_BTCHW[:, i])
        return restored_BTCHW, self._state(vivid=vivid, faithful=faithful, share_BThw=share_BThw)

    def _state(self, **parts: Any) -> State:
        (made,) = self.state_classes
        state: State = made(**parts)
        return state


def _radius(vivid: NetworkFacts, faithful: NetworkFacts, reach: int) -> int | None:
    """Input pixels on each side that a pixel depends on; None where a network's are not known."""
    if vivid.receptive_radius is None or faithful.receptive_radius is None:
        return None
    return max(vivid.receptive_radius, faithful.receptive_radius) - (-reach // vivid.scale)
