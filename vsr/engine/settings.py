"""Step sizes: chunk, look-ahead and tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from vsr.errors import ConfigurationError

if TYPE_CHECKING:
    from vsr.models.network import NetworkFacts  # loads torch, which --help does without

FULL: Final = "full"
"""Look-ahead to the end of the scene: as good as the whole clip, the scene held in memory."""

LookAhead = int | Literal["full"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes of a step.

    Attributes:
        chunk: Frames restored per step, 1 or more.
        look_ahead: Future frames a step sees beyond its chunk; None for all of the scene.
        tiles: Rows and columns of tiles; tiles are restored one after the other.

    Raises:
        ConfigurationError: A value out of its range.
    """

    chunk: int
    look_ahead: int | None
    tiles: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise ConfigurationError(f"chunk is {self.chunk}; a step restores 1 frame or more")
        if self.look_ahead is not None and self.look_ahead < 0:
            raise ConfigurationError(
                f"look-ahead is {self.look_ahead}; give 0 or more frames, or '{FULL}'"
            )
        if min(self.tiles) < 1:
            raise ConfigurationError(f"tiles are {self.tiles}; give 1 or more rows and columns")

    @property
    def num_tiles(self) -> int:
        """Tiles of a frame."""
        return self.tiles[0] * self.tiles[1]

    def changed(self, *, chunk: int | None, look_ahead: int | str | None) -> Settings:
        """A copy with another chunk or look-ahead; None keeps a value."""
        return replace(
            self,
            chunk=self.chunk if chunk is None else chunk,
            look_ahead=self.look_ahead if look_ahead is None else num_frames(look_ahead),
        )

    def smaller(self) -> Settings | None:
        """Settings of half the memory; None if the step is already a single frame."""
        if self.chunk == 1 and self.look_ahead == 0:
            return None
        look_ahead = self.chunk if self.look_ahead is None else self.look_ahead
        return replace(self, chunk=max(1, self.chunk // 2), look_ahead=look_ahead // 2)

    def within(self, limit: Settings) -> Settings:
        """A copy in which no size exceeds a limit."""
        ahead = [n for n in (self.look_ahead, limit.look_ahead) if n is not None]
        return Settings(
            chunk=min(self.chunk, limit.chunk),
            look_ahead=min(ahead, default=None),
            tiles=max(self.tiles, limit.tiles, key=math.prod),
        )

    def __str__(self) -> str:
        ahead = FULL if self.look_ahead is None else str(self.look_ahead)
        rows, columns = self.tiles
        tiles = f", {columns}x{rows} tiles" if self.num_tiles > 1 else ""
        return f"chunk {self.chunk}, look-ahead {ahead}{tiles}"


def settings_for(
    facts: NetworkFacts,
    *,
    chunk: int | None = None,
    look_ahead: int | str | None = None,
    tiles: tuple[int, int] = (1, 1),
) -> Settings:
    """Requested sizes, completed by the network's defaults.

    Args:
        facts: Facts of the network.
        chunk: Frames; None for the network's own.
        look_ahead: Frames or ``"full"``; None for the network's own.
        tiles: Rows and columns.
    """
    return Settings(
        chunk=facts.chunk if chunk is None else chunk,
        look_ahead=num_frames(facts.look_ahead if look_ahead is None else look_ahead),
        tiles=tiles,
    )


def num_frames(look_ahead: int | str) -> int | None:
    """Parse a look-ahead into frames; None means the rest of the scene."""
    if look_ahead == FULL:
        return None
    if not isinstance(look_ahead, int):
        raise ConfigurationError(
            f"look-ahead is {look_ahead!r}; give 0 or more frames, or '{FULL}'"
        )
    return look_ahead
