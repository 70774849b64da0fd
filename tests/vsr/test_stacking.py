"""Frames as one tensor."""

from __future__ import annotations

import torch

from vsr.stacking import stack


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
