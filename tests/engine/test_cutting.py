"""Tiles go on from the state of whole frames, and of larger tiles."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.networks import RECURRENT, compact, deblurring_edvr, moving_clip
from tests.streaming import Maker
from vsr.engine.cutting import Uncuttable, cut_state
from vsr.engine.state_tree import named_tensors
from vsr.engine.tiling import Tiled, boxes_of

STATEFUL = {**RECURRENT, "edvr_deblur": deblurring_edvr}


MAPS = [
    (multiple, Fraction(ratio))
    for multiple, ratio in (
        *((1, 1), (2, 1), (16, 1), (1, 2), (2, 2), (4, 3), (1, 4), (4, 4), (16, 4)),
        *((2, "1/2"), (4, "1/4"), (8, "1/8"), (16, "1/4"), (16, "1/8"), (16, "1/16")),
    )
]
"""What sides are extended to multiples of, and values of the map per pixel."""


def places(size: tuple[int, int], multiple: int, ratio: Fraction) -> Tensor:
    """(1, 2, H', W'): the row and column of the frame that every value of a map stands for."""
    rows, columns = (
        torch.arange(int((side + -side % multiple) * ratio)) / float(ratio) for side in size
    )
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


@pytest.mark.parametrize("side", [128, 129, 135, 200, 433, 449])
@pytest.mark.parametrize(("multiple", "ratio"), MAPS)
@pytest.mark.parametrize("old", [(1, 1), (1, 2)])
def test_a_map_of_any_size_is_cut_where_its_tiles_are(
    side: int, multiple: int, ratio: Fraction, old: tuple[int, int]
) -> None:
    size, new = (side, 150), (2, 2)
    state: Any = places(size, multiple, ratio)
    if old != (1, 1):
        state = cut_state(state, size, (1, 1), old)
    for tile, box in zip(cut_state(state, size, old, new).tiles, boxes_of(size, new), strict=True):
        for axis, (span, whole) in enumerate(zip(box, size, strict=True)):
            stands_for = tile[0, axis].movedim(axis, 0)[:, 0]
            extended = -whole % multiple if span.end == whole else 0
            assert stands_for[0] == span.start
            assert stands_for[-1] == span.end + extended - float(1 / ratio)


def test_what_is_no_map_belongs_to_every_tile() -> None:
    numbers = torch.tensor([3, 1])
    assert all(
        torch.equal(tile, numbers) for tile in cut_state(numbers, (128, 128), (1, 1), (2, 2)).tiles
    )


def test_a_map_that_tiles_cannot_share_is_not_cut() -> None:
    with pytest.raises(Uncuttable, match="a map of 67 values along 200 pixels"):
        cut_state(torch.zeros(1, 2, 67, 150), (200, 150), (1, 1), (2, 1))


def shapes(state: Any) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for _, tensor in named_tensors(state)]


@pytest.mark.parametrize(
    ("make", "old"),
    [*((make, (1, 1)) for make in STATEFUL.values()), (compact, (2, 1))],
    ids=[*STATEFUL, "compact_in_tiles"],
)
def test_tiles_go_on_from_the_state_of_larger_ones(make: Maker, old: tuple[int, int]) -> None:
    network, clip, size, new = make(), moving_clip(3, 135, 129)[None], (135, 129), (2, 2)
    larger, smaller = (Tiled(network, tiles) for tiles in (old, new))
    with torch.inference_mode():
        _, state = larger.step(clip[:, :3], None, 2, ends_scene=False)
        _, own = smaller.step(clip[:, :3], None, 2, ends_scene=False)
        expected, _ = larger.step(clip[:, 2:3], state, 1)
        cut = cut_state(state, size, old, new)
        going_on, _ = smaller.step(clip[:, 2:3], cut, 1)
        anew, _ = smaller.step(clip[:, 2:3], None, 1)
    assert shapes(cut) == shapes(own)
    scale = network.facts.scale
    corner = (..., slice(-40 * scale, None), slice(-40 * scale, None))  # far from other tiles
    wrong, without = ((x - expected)[corner].abs().mean() for x in (going_on, anew))
    assert wrong < 0.01 * without
