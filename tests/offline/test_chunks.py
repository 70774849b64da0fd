"""Frames as one tensor."""

from __future__ import annotations

from fractions import Fraction

import torch

from vsr.chunks import stack
from vsr.scenes.state import joined, part
from vsr.types import Chunk


def test_neighbours_in_memory_are_not_copied() -> None:
    chunk = torch.rand(5, 3, 4, 6)
    stacked = stack([chunk[1], chunk[2], chunk[3]])
    assert torch.equal(stacked, chunk[1:4])
    assert stacked.data_ptr() == chunk[1].data_ptr()


def test_others_are_copied_in_order() -> None:
    one, two = torch.rand(3, 3, 4, 6), torch.rand(2, 3, 4, 6)
    for frames in (
        [one[0], one[2]],
        [one[1], one[0]],
        [one[2], two[0]],
        [one[0].mT.contiguous().mT, one[1]],
        [one[0], one[0]],
    ):
        stacked = stack(frames)
        assert torch.equal(stacked, torch.stack(frames))
        assert stacked.is_contiguous()


def test_a_chunk_that_was_split_is_joined_without_a_copy() -> None:
    chunk = Chunk(frames=torch.rand(6, 3, 4, 6), pts=tuple(range(6)), time_base=Fraction(1, 25))
    (whole,) = joined([part(chunk, 0, 2), part(chunk, 2, 3), part(chunk, 3, 6)])
    assert torch.equal(whole.frames, chunk.frames)
    assert whole.frames.data_ptr() == chunk.frames.data_ptr()
    assert whole.pts == chunk.pts
