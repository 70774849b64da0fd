"""The ways a clip goes through a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.evaluation.eval_trees import eight_digits, save_frames, write_frames, write_vimeo
from tests.networks import basicvsr, edvr, moving_clip
from vsr.errors import OpenError
from vsr.evaluation.clips import Clip, find_pair
from vsr.evaluation.data_set_clips import find_clips
from vsr.evaluation.ensembles import FLIP, SPATIAL, InferenceMode
from vsr.evaluation.inference import ClipRestorer
from vsr.models.architectures.baselines import Bicubic, Identity
from vsr.models.network import Network
from vsr.restorer import FULL


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Eleven frames of 16x24, restored to 64x96."""
    save_frames(tmp_path / "gt", moving_clip(11, 64, 96))
    return find_pair(tmp_path / "gt", None).clips[0]


def restore(network: Network[Any], clip: Clip, way: InferenceMode) -> Tensor:
    restorer = ClipRestorer(network, torch.device("cpu"), way)
    with torch.inference_mode():
        parts = list(restorer.restore(clip))
    assert restorer.seconds > 0
    assert torch.cat([part.truth for part in parts]).equal(
        clip.truth.read(0, len(clip.truth.names))
    )
    return torch.cat([part.frames for part in parts])


def whole(network: Network[Any], low: Tensor) -> Tensor:
    with torch.inference_mode():
        restored: Tensor = network(low[None])[0]
    return restored


def low_of(clip: Clip) -> Tensor:
    from vsr.quality.degradation import degrade

    return degrade(clip.low.read(0, len(clip.low.names)), 4, "BI")


def test_a_stream_that_sees_to_the_end_equals_the_whole_clip(clip: Clip) -> None:
    network = basicvsr()
    expected = whole(network, low_of(clip))
    for way in (
        InferenceMode(whole=True),
        InferenceMode(chunk=4, look_ahead=FULL),
        InferenceMode(chunk=3, look_ahead=8),
    ):
        torch.testing.assert_close(restore(network, clip, way), expected, atol=1e-5, rtol=0)
    short = restore(network, clip, InferenceMode(chunk=3, look_ahead=0))
    assert (short - expected).abs().max() > 1e-3


@pytest.mark.slow
def test_the_spatial_ensemble_is_the_mean_over_eight_orientations(clip: Clip) -> None:
    network, low = basicvsr(), low_of(clip)
    expected = torch.zeros(())
    for transposed in (False, True):
        for axes in ((), (-1,), (-2,), (-1, -2)):
            turned = low.flip(axes) if axes else low
            restored = whole(network, turned.mT if transposed else turned)
            upright = restored.mT if transposed else restored
            expected = expected + (upright.flip(axes) if axes else upright) / 8
    for way in (
        InferenceMode(whole=True, ensemble=(SPATIAL,)),
        InferenceMode(chunk=4, look_ahead=FULL, ensemble=(SPATIAL,)),
    ):
        torch.testing.assert_close(restore(network, clip, way), expected, atol=1e-5, rtol=0)


def test_the_flip_ensemble_is_the_mean_over_both_directions_of_time(clip: Clip) -> None:
    network, low = basicvsr(), low_of(clip)
    expected = (whole(network, low) + whole(network, low.flip(0)).flip(0)) / 2
    way = InferenceMode(whole=True, ensemble=(FLIP,))
    torch.testing.assert_close(restore(network, clip, way), expected, atol=1e-5, rtol=0)


def test_both_ensembles_leave_a_symmetrical_network_as_it_is(clip: Clip) -> None:
    way = InferenceMode(chunk=2, look_ahead=1, ensemble=(SPATIAL, FLIP))
    plain = restore(Bicubic(scale=4), clip, InferenceMode(whole=True))
    torch.testing.assert_close(restore(Bicubic(scale=4), clip, way), plain, atol=1e-6, rtol=0)


def test_recurrent_networks_see_vimeo_mirrored_and_the_two_centres_are_averaged(
    tmp_path: Path,
) -> None:
    clip = find_clips("vimeo90k-t", write_vimeo(tmp_path), scale=4, partial=True).clips[0]
    network, low = basicvsr(), low_of(clip)
    mirrored = whole(network, torch.cat([low, low.flip(0)]))
    expected = (mirrored[3] + mirrored[10])[None] / 2
    restored = restore(network, clip, InferenceMode(whole=True))
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)
    assert (restored - whole(network, low)[3]).abs().max() > 1e-4


def test_networks_with_a_window_see_vimeo_as_it_is(tmp_path: Path) -> None:
    clip = find_clips("vimeo90k-t", write_vimeo(tmp_path), scale=4, partial=True).clips[0]
    network = edvr()
    restored = restore(network, clip, InferenceMode(whole=True))
    torch.testing.assert_close(restored, whole(network, low_of(clip))[3:4], atol=1e-5, rtol=0)


def test_ground_truth_is_trimmed_to_a_multiple_of_the_scale_and_no_further(tmp_path: Path) -> None:
    save_frames(tmp_path / "gt", moving_clip(2, 50, 67))
    (clip,) = find_pair(tmp_path / "gt", None).clips
    restorer = ClipRestorer(Bicubic(scale=4), torch.device("cpu"), InferenceMode())
    (part,) = restorer.restore(clip)
    assert part.frames.shape == part.truth.shape == (2, 3, 48, 64)
    assert part.truth.equal(clip.truth.read(0, 2)[..., :48, :64])


def test_input_of_another_size_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "gt", eight_digits(2))
    write_frames(tmp_path / "lq", eight_digits(2), scale=2)
    (clip,) = find_pair(tmp_path / "gt", tmp_path / "lq").clips
    restorer = ClipRestorer(Bicubic(scale=4), torch.device("cpu"), InferenceMode())
    with pytest.raises(OpenError, match="64x48 is not 4 times its input of 32x24"):
        list(restorer.restore(clip))


def test_frames_restored_elsewhere_are_scored_as_they_are(tmp_path: Path) -> None:
    write_frames(tmp_path / "gt", eight_digits(3))
    (clip,) = find_pair(tmp_path / "gt", tmp_path / "gt").clips
    assert restore(Identity(), clip, InferenceMode()).equal(clip.truth.read(0, 3))
