"""Image networks made steady: what they restore is carried along the flow where it agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.command_line import Run
from tests.media import Clip, write_clip
from tests.networks import compact, moving_clip, srvgg
from vsr.errors import ConfigurationError
from vsr.evaluation.motion import warping_error
from vsr.models.layers.single_frame import SingleFrameNetwork
from vsr.models.loading import load_network
from vsr.models.network import Network, NetworkFacts
from vsr.models.ops.optical_flow import estimate_flow, visible_pixels
from vsr.models.steady import Steady
from vsr.streams import open_reader


class Flickering(SingleFrameNetwork):
    """Enlarges, and adds fine texture to each frame that has nothing to do with the others'."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = NetworkFacts(name="flickering", scale=2, stateless=True)

    def restore(self, frames_NCHW: Tensor) -> Tensor:
        large_NCHW = torch.nn.functional.interpolate(frames_NCHW, scale_factor=2, mode="bicubic")
        seed = int(frames_NCHW.double().sum() * 1e6)
        texture = torch.randn(large_NCHW.shape, generator=torch.Generator().manual_seed(seed))
        return large_NCHW + 0.02 * texture


def restored(network: Network[Any], clip_TCHW: Tensor) -> Tensor:
    with torch.inference_mode():
        frames: Tensor = network(clip_TCHW[None])
    return frames[0]


def one_by_one(network: Network[Any], clip_TCHW: Tensor) -> Tensor:
    """A clip as if every frame were the first of a scene."""
    return torch.cat([restored(network, frame_CHW[None]) for frame_CHW in clip_TCHW])


def sharpness(frames_TCHW: Tensor) -> float:
    return float(frames_TCHW.diff(dim=-1).abs().mean())


def test_what_flickers_becomes_steady_and_edges_stay() -> None:
    clip = moving_clip(6, 48, 64)
    plain, steady = (restored(net, clip) for net in (Flickering(), Steady(Flickering())))
    truth = torch.nn.functional.interpolate(clip, scale_factor=2, mode="bicubic")
    flow = estimate_flow(truth[1:], truth[:-1])
    seen = visible_pixels(flow, estimate_flow(truth[:-1], truth[1:]))
    change, before = (
        warping_error(frames[1:], frames[:-1], flow, seen).mean() for frames in (steady, plain)
    )
    assert change < 0.5 * before
    assert (steady - truth).square().mean() < 0.7 * (plain - truth).square().mean()
    assert sharpness(steady) > 0.97 * sharpness(truth)


def test_a_frame_that_shows_something_else_is_left_alone() -> None:
    network, clip = srvgg(), moving_clip(3, 32, 40)
    clip[1] = 1 - clip[1]
    with torch.inference_mode():
        alone = one_by_one(network, clip)
    assert (alone[1] - alone[0]).abs().mean() > 0.3
    torch.testing.assert_close(restored(Steady(network), clip)[1], alone[1], atol=2e-2, rtol=0)


def test_the_first_frame_of_a_scene_is_the_networks_own() -> None:
    network, clip = srvgg(), moving_clip(2, 24, 20)
    alone = one_by_one(network, clip)
    torch.testing.assert_close(restored(Steady(network), clip)[0], alone[0], atol=1e-5, rtol=0)


def test_networks_that_see_their_neighbours_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="compact sees neighbouring frames by itself"):
        Steady(compact())


def small_weights(folder: Path) -> Path:
    torch.save({"params": srvgg().state_dict()}, folder / "small.pth")
    return folder / "small.pth"


def test_chunks_make_no_difference_to_a_file(vsr: Run, tmp_path: Path) -> None:
    source, weights = write_clip(tmp_path / "in.mp4", Clip(num_frames=5)), small_weights(tmp_path)
    words = ("-m", weights, "--device", "cpu", "--encoder", "ffv1", "-y")
    frames = []
    for more in (("--steady", "--chunk", "1"), ("--steady", "--chunk", "4"), ()):
        assert vsr("restore", source, tmp_path / "out.mkv", *words, *more).code == 0
        with open_reader(str(tmp_path / "out.mkv")) as reader:
            frames.append(torch.cat([chunk.frames for chunk in reader.chunks(8)]))
    assert torch.equal(frames[0], frames[1])
    assert torch.equal(frames[0][0], frames[2][0])
    assert not torch.equal(frames[0][1:], frames[2][1:])


def test_the_option_is_for_image_networks_alone(vsr: Run, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", Clip(num_frames=2))
    for command, target in (("restore", "out.mkv"), ("live", "out.m3u8")):
        refused = vsr(command, source, tmp_path / target, "--steady")
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "leave steadiness (--steady) to networks" in refused.err
        assert not (tmp_path / target).exists()


def test_a_strength_applies_to_what_is_steady(tmp_path: Path) -> None:
    """The low band, which is the milder network's, stays tied to it, too."""
    name, clip = str(small_weights(tmp_path)), moving_clip(3, 24, 20)
    half, full = (
        [restored(load_network(name, steady=on, strength=strength), clip) for on in (True, False)]
        for strength in (torch.full((1, 1, 1), 0.5), torch.ones(1, 1, 1))
    )
    change = full[0] - full[1]
    assert change[1:].abs().mean() > 1e-5
    torch.testing.assert_close(half[0] - half[1], 0.5 * change, atol=1e-6, rtol=0)
    assert torch.nn.functional.avg_pool2d(change, 4).abs().max() < 1e-5
