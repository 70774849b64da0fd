"""The short way to what chunk and look-ahead cost gives what streams give."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks.look_ahead import Clips
from benchmarks.seams import (
    RoundedConvolutions,
    Setting,
    central,
    cut,
    difference,
    frames_by_end,
    streamed_scores,
    swept_scores,
)
from tests.networks import basicvsr, moving_clip, quick
from vsr.models.architectures.basicvsr import BasicVSR


@pytest.mark.parametrize("setting", [Setting(1, 0), Setting(2, 1), Setting(4, 8)])
def test_a_shared_sweep_gives_the_frames_of_a_stream(setting: Setting) -> None:
    network, low = quick(basicvsr)(), moving_clip(5, 16, 18)
    assert isinstance(network, BasicVSR)
    data = Clips(low={"clip": low}, truth={"clip": low})
    with torch.inference_mode():
        assert difference(network, data, setting) < 1e-5


def test_both_ways_to_a_table_agree() -> None:
    network, low = quick(basicvsr)(), moving_clip(4, 12, 12)
    assert isinstance(network, BasicVSR)
    truth = F.interpolate(low, scale_factor=4, mode="bicubic").clamp(0, 1)
    settings = [Setting(1, 0), Setting(2, 1)]
    with torch.inference_mode():
        swept = swept_scores(network, low, truth, settings)
        streamed = streamed_scores(network, Clips(low={"a": low}, truth={"a": truth}), settings)
    assert swept[1][settings[0]] != swept[0]
    assert swept[0] == pytest.approx(streamed[0], abs=1e-4)
    for setting in settings:
        assert swept[1][setting] == pytest.approx(streamed[1][setting], abs=1e-4)


def test_each_window_end_is_swept_once_for_all_settings() -> None:
    wanted = frames_by_end(8, [Setting(4, 0), Setting(2, 2)])
    assert wanted == {8: set(range(8)), 4: {0, 1, 2, 3}, 6: {2, 3}}


def test_both_resolutions_are_cut_at_the_same_place() -> None:
    high = torch.arange(40 * 36).reshape(1, 1, 40, 36)
    rows, columns = central(10, 5), central(9, 3)
    small, large = (
        cut(frames, rows, columns, scale) for frames, scale in ((high[..., ::4, ::4], 1), (high, 4))
    )
    assert torch.equal(large[..., ::4, ::4], small)


def test_convolutions_without_bfloat16_of_their_own_are_rounded() -> None:
    image = torch.rand(1, 4, 9, 9).bfloat16()
    weight = torch.randn(4, 4, 3, 3).bfloat16()
    with RoundedConvolutions():
        rounded = F.conv2d(image, weight)
    assert torch.equal(rounded, F.conv2d(image.float(), weight.float()).bfloat16())
