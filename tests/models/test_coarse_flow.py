"""The flow network of ``compact``."""

from __future__ import annotations

import pytest
import torch

from tests.networks import moving_clip
from vsr.models.compact.flow import CoarseFlow
from vsr.models.loading import load_network
from vsr.training.loop import flow_network


def shifted(x: int, y: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A texture, and the same moved so that the flow from the first to the second is (x, y)."""
    texture = moving_clip(1, 96, 96)[0]
    return texture[None, :, 16:80, 16:80], texture[None, :, 16 - y : 80 - y, 16 - x : 80 - x]


@pytest.mark.parametrize("motion", [(0, 0), (3, 0), (0, -4), (-6, 5)])
def test_matching_finds_a_shift_before_anything_is_learnt(motion: tuple[int, int]) -> None:
    with torch.inference_mode():
        flow = CoarseFlow()(*shifted(*motion))
    middle = flow[0, :, 16:-16, 16:-16].flatten(1).median(1).values
    torch.testing.assert_close(middle, torch.tensor(motion).float(), atol=0.75, rtol=0.1)


@pytest.mark.parametrize("motion", [(0, 0), (3, 0), (0, -4), (-2, 3)])
def test_the_shipped_network_finds_a_shift_closely(motion: tuple[int, int]) -> None:
    estimator = flow_network(load_network("compact-x4"))
    with torch.inference_mode():
        reference, neighbour = (estimator.pyramid(frame) for frame in shifted(*motion))
        flow = estimator.between(reference, neighbour)
    middle = flow[0, :, 16:-16, 16:-16].flatten(1).median(1).values
    torch.testing.assert_close(middle, torch.tensor(motion).float(), atol=0.25, rtol=0.05)
