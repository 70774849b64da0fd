"""A stream's state cut into the states of its tiles: for memory that runs out in the middle.

Networks keep maps of many sizes. Some are a half, a quarter, a sixteenth of the frame, some twice
its size or more, and most belong to a frame that was first extended until its sides are multiples
of what the network's strides divide. Tiles begin at multiples of 16 and end there or where frames
do, so that every such map can be cut without a remainder.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from torch import Tensor, preserve_format

from vsr.engine.state_tree import rebuild
from vsr.engine.tiling import ALIGNMENT, Box, Span, TilesState, boxes_of

Tiles = tuple[int, int]
"""Rows and columns of tiles."""

MULTIPLES = (1, 2, 4, 8, ALIGNMENT)
"""What networks extend sides to multiples of; tiles have to begin at multiples of it."""


class Uncuttable(ValueError):
    """A map that is not spread over the frame in a way that tiles can share."""


def cut_state(state: Any, size: tuple[int, int], old: Tiles, new: Tiles) -> TilesState:
    """The state of frames, or of their tiles, as the states of smaller tiles.

    Tensors of four and more axes are maps, their last two the frame's rows and columns; others say
    something of the whole frame, and every tile gets them.

    Args:
        state: What a step in the old tiles returned.
        size: Rows and columns of a frame.
        old: Tiles so far, (1, 1) for whole frames.
        new: Tiles from now on, every one of them within an old one.

    Raises:
        Uncuttable: It cannot be done; the tiles have to begin without a state.
    """
    states = state.tiles if isinstance(state, TilesState) else (state,)
    coarse = list(zip(boxes_of(size, old), states, strict=True))
    tiles = []
    for box in boxes_of(size, new):
        around, held = next((b, s) for b, s in coarse if _contains(b, box))
        tiles.append(rebuild(held, lambda t, a=around, b=box: _crop(t, a, b)))  # type: ignore[misc]
    return TilesState(tiles=tuple(tiles))


def _contains(box: Box, other: Box) -> bool:
    pairs = zip(box, other, strict=True)
    return all(span.start <= inner.start and inner.end <= span.end for span, inner in pairs)


def _crop(tensor: Tensor, around: Box, box: Box) -> Tensor:
    """What belongs to a box of a map that belongs to the box around it."""
    if tensor.ndim < 4:
        return tensor.clone()
    for axis, span, inner in zip((-2, -1), around, box, strict=True):
        start, end = _places(tensor.shape[axis], span, inner)
        tensor = tensor.narrow(axis, start, end - start)
    return tensor.clone(memory_format=preserve_format)


def _places(length: int, span: Span, inner: Span) -> tuple[int, int]:
    """Where a part of a span begins and ends in a map of it."""
    if inner == span:
        return 0, length
    ratio = _ratio(length, span.end - span.start)
    # What a side was extended by is behind its end, and belongs to the last tile.
    end = length if inner.end == span.end else int((inner.end - span.start) * ratio)
    return int((inner.start - span.start) * ratio), end


def _ratio(length: int, side: int) -> Fraction:
    """Values of a map per pixel of the side, extended to the least multiple that fits."""
    for multiple in MULTIPLES:
        ratio = Fraction(length, side + -side % multiple)
        if 1 in (ratio.numerator, ratio.denominator) and (ALIGNMENT * ratio).denominator == 1:
            return ratio
    raise Uncuttable(f"a map of {length} values along {side} pixels")
