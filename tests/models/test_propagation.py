"""Parts shared by flow-aligned networks."""

from __future__ import annotations

import pytest
import torch

from tests.networks import moving_clip
from vsr.models.compact.flow import CoarseFlow
from vsr.models.layers import propagation
from vsr.models.layers.propagation import pair_flows


@pytest.mark.parametrize("pixels", [1, 3 * 24 * 32])
def test_pairs_estimated_a_few_at_a_time_have_the_same_flows(
    pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator, window = CoarseFlow(), torch.stack([moving_clip(6, 24, 32)] * 2)
    with torch.inference_mode():
        together = pair_flows(estimator, window, None)
        monkeypatch.setattr(propagation, "PIXELS_AT_ONCE", pixels)
        in_pieces = pair_flows(estimator, window, None)
    assert together.to_previous(1).abs().max() > 0.1
    torch.testing.assert_close(in_pieces.forward_BT2HW, together.forward_BT2HW)
    torch.testing.assert_close(in_pieces.backward_BT2HW, together.backward_BT2HW)
