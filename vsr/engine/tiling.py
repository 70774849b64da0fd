"""Tiled restoration of frames that do not fit into memory.

Every tile has its own state and is restored like a small stream. Tiles
overlap, and results are blended linearly there, so that no seam shows. A network
whose receptive radius is known is spared the blending: a tile sees that many pixels more on every
side than are kept of it, so that the result is that of whole frames.

B batch, T time, C colour, H, W size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor

from vsr.engine.settings import Settings
from vsr.models.network import Network, NetworkFacts
from vsr.models.state_tree import Guarding, after_gap, rebuild

OVERLAP = 32
"""Input pixels two neighbours share at least."""

ALIGNMENT = 16
"""Tiles begin at multiples of this, which networks' strides divide."""

SMALLEST = 64
"""Input pixels a tile advances by at least; smaller frames get fewer tiles than asked for."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """One tile along one axis, in input pixels.

    Attributes:
        start: First row or column.
        end: One past the last row or column.
        ramp_in: Pixels at the start that are blended with the previous tile.
        ramp_out: Pixels at the end that are blended with the next tile.
        margin_in: Context pixels at the start, not kept.
        margin_out: Context pixels at the end, not kept.
    """

    start: int
    end: int
    ramp_in: int
    ramp_out: int
    margin_in: int = 0
    margin_out: int = 0

    def weights(self, scale: int, device: torch.device) -> Tensor:
        """One weight per output row or column; those of all tiles add up to one."""
        weights = torch.ones(scale * (self.end - self.start), device=device)
        rising, falling = scale * self.ramp_in, scale * self.ramp_out
        if rising:
            weights[:rising] = (torch.arange(rising, device=device) + 0.5) / rising
        if falling:
            ramp = (torch.arange(falling, device=device) + 0.5) / falling
            weights[len(weights) - falling :] = 1 - ramp
        weights[: scale * self.margin_in] = 0
        weights[len(weights) - scale * self.margin_out :] = 0
        return weights


def spans(side: int, count: int, radius: int | None = None) -> list[Span]:
    """Spans of the tiles along one axis.

    Args:
        side: Length of the axis in pixels.
        count: Number of tiles; reduced if they would become too small.
        radius: The network's ``receptive_radius``.
    """
    count = max(1, min(count, side // smallest(radius)))
    borders = [round(side * i / count / ALIGNMENT) * ALIGNMENT for i in range(1, count)]
    if radius is not None:
        return _exact_spans(side, [0, *borders, side], _aligned(radius))
    starts = [0, *(border - OVERLAP // 2 for border in borders)]
    ends = [*(border + OVERLAP // 2 for border in borders), side]
    return [
        Span(
            start=start,
            end=end,
            ramp_in=OVERLAP if i else 0,
            ramp_out=OVERLAP if i + 1 < count else 0,
        )
        for i, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _exact_spans(side: int, borders: Sequence[int], margin: int) -> list[Span]:
    """Tiles without overlap of the kept parts, each with a margin of context."""
    tiles = []
    for first, last in pairwise(borders):
        start, end = max(0, first - margin), min(side, last + margin)
        within = {"margin_in": first - start, "margin_out": end - last}
        tiles.append(Span(start=start, end=end, ramp_in=0, ramp_out=0, **within))
    return tiles


def smallest(radius: int | None) -> int:
    """Minimum stride of tiles: at least half of the overlap."""
    return SMALLEST if radius is None else max(SMALLEST, _aligned(radius))


def _aligned(pixels: int) -> int:
    """The next multiple of ``ALIGNMENT``."""
    return pixels + -pixels % ALIGNMENT


Box = tuple[Span, Span]
"""A tile: its rows and its columns."""


def boxes_of(size: tuple[int, int], tiles: tuple[int, int], radius: int | None = None) -> list[Box]:
    """The tiles of a frame, row by row.

    Args:
        size: Rows and columns of a frame.
        tiles: Rows and columns of tiles.
        radius: The network's ``receptive_radius``.
    """
    rows, columns = (spans(side, count, radius) for side, count in zip(size, tiles, strict=True))
    return [(row, column) for row in rows for column in columns]


@dataclass(frozen=True, kw_only=True, eq=False)
class TilesState:
    """The states of all tiles, row by row."""

    TAG: ClassVar[str] = "tiles.v1"

    tiles: tuple[Any, ...]

    def after_gap(self) -> TilesState:
        """As in ``GapTolerant``, tile by tile."""
        return TilesState(tiles=tuple(after_gap(state) for state in self.tiles))


class Tiled(Network[TilesState]):
    """A network that restores frames tile by tile.

    Args:
        network: Network for each tile.
        tiles: Rows and columns.
    """

    state_classes = (TilesState,)

    def __init__(self, network: Network[Any], tiles: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.facts, self.tiles = network, network.facts, tiles

    def step(
        self,
        window_BTCHW: Tensor,
        state: TilesState | None,
        num_keep: int,
        *,
        ends_scene: bool = True,
    ) -> tuple[Tensor, TilesState]:
        size, radius = (window_BTCHW.shape[-2], window_BTCHW.shape[-1]), self.facts.receptive_radius
        boxes = boxes_of(size, self.tiles, radius)
        states = self._begin(window_BTCHW, boxes) if state is None else state.tiles
        batch, _, colours, height, width = window_BTCHW.shape
        scale = self.facts.scale
        blended = window_BTCHW.new_zeros((batch, num_keep, colours, scale * height, scale * width))
        left = []
        for (rows, columns), tile_state in zip(boxes, states, strict=True):
            seen = _cut(window_BTCHW, rows, columns)
            part = self.network.part(size, *(slice(s.start, s.end) for s in (rows, columns)))
            restored, new_state = part.step(seen, tile_state, num_keep, ends_scene=ends_scene)
            left.append(new_state)
            _blend(blended, restored, rows, columns, scale)
            del restored, new_state, seen  # not to keep a tile's frames while the next is restored
        return blended, TilesState(tiles=tuple(left))

    def _begin(self, window_BTCHW: Tensor, boxes: Sequence[Box]) -> tuple[Any, ...]:
        """The states of all tiles at the start of a scene."""
        tiles = (_cut(window_BTCHW, rows, columns) for rows, columns in boxes)
        begun = self.network.begin(tiles)
        # A copy for each: tensors that share memory cannot be saved.
        return tuple(None if begun is None else rebuild(begun, torch.clone) for _ in boxes)


def tiled(network: Network[Any], tiles: tuple[int, int]) -> Network[Any]:
    """The network itself for a single tile, otherwise a ``Tiled`` network."""
    return network if tiles == (1, 1) else Tiled(network, tiles)


def faithful_share(
    state: Any, size: tuple[int, int], tiles: tuple[int, int], facts: NetworkFacts
) -> Tensor | None:
    """Where the last step has shown the faithful of two results.

    Args:
        state: State of the network, or of its tiles.
        size: Rows and columns of an input frame.
        tiles: Rows and columns of tiles.
        facts: Facts of the network.

    Returns:
        (B, T, 1, scale H, scale W), 0 to 1; None from a network without a guard.
    """
    scale = facts.scale
    if isinstance(state, Guarding):
        return state.faithful_share(scale * size[0], scale * size[1])
    if not isinstance(state, TilesState) or not isinstance(state.tiles[0], Guarding):
        return None
    whole: Tensor | None = None
    boxes = boxes_of(size, tiles, facts.receptive_radius)
    for (rows, columns), tile in zip(boxes, state.tiles, strict=True):
        sides = (scale * (span.end - span.start) for span in (rows, columns))
        share = tile.faithful_share(*sides)
        if share is None:
            return None
        if whole is None:
            whole = share.new_zeros((*share.shape[:3], scale * size[0], scale * size[1]))
        _blend(whole, share, rows, columns, scale)
    return whole


def replaces_artefacts(state: Any) -> bool:
    """Whether the faithful share of a state replaces artefacts."""
    if isinstance(state, TilesState):
        return replaces_artefacts(state.tiles[0])
    return isinstance(state, Guarding) and state.replaces


def finer(
    settings: Settings, height: int, width: int, radius: int | None = None
) -> Settings | None:
    """Twice as many tiles, halved along the longer side; None if they would be too small."""
    rows, columns = settings.tiles
    along_rows = height / rows > width / columns
    if (height // rows if along_rows else width // columns) < 2 * smallest(radius):
        return None
    return replace(settings, tiles=(2 * rows, columns) if along_rows else (rows, 2 * columns))


def _cut(window_BTCHW: Tensor, rows: Span, columns: Span) -> Tensor:
    return window_BTCHW[..., rows.start : rows.end, columns.start : columns.end].contiguous()


def _blend(into: Tensor, restored: Tensor, rows: Span, columns: Span, scale: int) -> None:
    """Add a tile's result, weighted."""
    vertical, horizontal = (span.weights(scale, into.device) for span in (rows, columns))
    region = into[
        ...,
        scale * rows.start : scale * rows.end,
        scale * columns.start : scale * columns.end,
    ]
    weights = vertical[:, None] * horizontal
    for frame in range(restored.shape[1]):
        region[:, frame].addcmul_(restored[:, frame], weights)
