"""BasicVSR behind its cleaning module."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.networks import moving_clip
from tests.networks import realbasicvsr as small_realbasicvsr
from tests.streaming import pieces
from vsr.engine.tiling import tiled
from vsr.models.architectures.realbasicvsr import RealBasicVSR
from vsr.models.loading import load_network
from vsr.restorer import Restorer


def network_with(threshold: float) -> RealBasicVSR:
    network = small_realbasicvsr()
    assert isinstance(network, RealBasicVSR)
    network.threshold = threshold
    return network


def residues(network: RealBasicVSR, frames: Tensor) -> Tensor:
    """(T, 3, H, W): what a pass of the cleaning module adds, all frames in one batch."""
    added: Tensor = network.image_cleaning(frames)
    return added


@pytest.mark.parametrize(("threshold", "passes"), [(9.0, 1), (0.0, 3)])
def test_frames_are_cleaned_until_little_is_left_to_clean(threshold: float, passes: int) -> None:
    network, clip = network_with(threshold), moving_clip(4, 18, 22)
    with torch.inference_mode():
        restored, state = network.step(clip[None], None, 4)
        cleaned = clip
        for _ in range(passes):
            cleaned = cleaned + residues(network, cleaned)
        expected = network.basicvsr(cleaned[None])
    assert state.passes_B.tolist() == [passes]
    torch.testing.assert_close(restored, expected, atol=1e-5, rtol=0)


def test_the_first_window_decides_for_the_scene() -> None:
    network, clip = network_with(0.0), moving_clip(6, 18, 22).flip(0)
    with torch.inference_mode():
        means = residues(network, clip).abs().mean((1, 2, 3))
    # Alone, the first frame is clean after a pass; all six together are not.
    assert means[0] < means.mean()
    network.threshold = float(means[0] + means.mean()) / 2
    with torch.inference_mode():
        _, hasty = network.step(clip[None, :1], None, 1)
        _, informed = network.step(clip[None], None, 1)
        for state, passes in ((hasty, 1), (informed, 3)):
            after = state
            for i in range(1, 6):
                _, after = network.step(clip[None, i:], after, 1)
                assert after.passes_B.tolist() == [passes]


def test_streams_of_one_batch_are_cleaned_each_as_often_as_it_needs() -> None:
    network = network_with(0.0)
    clips = torch.stack([moving_clip(4, 20, 24, seed=seed) for seed in (1, 2)])
    with torch.inference_mode():
        first, second = (residues(network, clip).abs().mean() for clip in clips)
        assert first < second
        network.threshold = float(first + second) / 2
        together, state = network.step(clips, None, 4)
        alone = torch.cat([network(clip[None]) for clip in clips])
    assert state.passes_B.tolist() == [1, 3]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_tiles_are_cleaned_as_often_as_each_other() -> None:
    network, clip = network_with(0.0), moving_clip(3, 128, 130)
    clip[..., 65:] = 0.5
    with torch.inference_mode():
        left, right = (
            residues(network, clip[..., part]).abs().mean()
            for part in (slice(None, 65), slice(65, None))
        )
        whole = residues(network, clip).abs().mean()
        network.threshold = float(whole + max(left, right)) / 2
        alone = [
            network.step(clip[None, ..., part], None, 3)[1].passes_B.item()
            for part in (slice(None, 65), slice(65, None))
        ]
        assert len(set(alone)) == 2, "by themselves the halves are cleaned differently"
        _, state = tiled(network, (1, 2)).step(clip[None], None, 3)
        _, untiled = network.step(clip[None], None, 3)
    assert [tile.passes_B.tolist() for tile in state.tiles] == [untiled.passes_B.tolist()] * 2


def test_passes_stay_those_of_the_scene_after_a_gap() -> None:
    network, clip = network_with(0.0), moving_clip(4, 32, 48)[None]
    other = torch.full_like(clip, 0.5)
    network.threshold = 9.0
    _, state = network.step(clip[:, :3], None, 2)
    network.threshold = 0.0  # by itself the next window would have more
    with torch.inference_mode():
        _, after = network.step(other, state.after_gap(), 2)
    assert after.passes_B.tolist() == state.passes_B.tolist() == [1]


def test_a_stream_in_tiles_can_be_saved(tmp_path: Path) -> None:
    restorer = Restorer(network_with(0.0), chunk=2, look_ahead=0, tiles=(1, 2), device="cpu")
    for piece in pieces(moving_clip(4, 64, 64), 2):
        restorer.push(piece)
    restorer.save(tmp_path / "state.safetensors")
    assert (tmp_path / "state.safetensors").is_file()


def test_each_frame_is_cleaned_once() -> None:
    network, clip = network_with(9.0), moving_clip(9, 18, 22)[None]
    seen: list[int] = []
    network.image_cleaning.register_forward_hook(lambda *_: seen.append(1))
    state = None
    with torch.inference_mode():
        for i in range(0, 9, 3):
            _, state = network.step(clip[:, i : i + 5], state, 3)
    assert len(seen) == 9


@pytest.mark.parametrize("prefix", ["generator_ema.", "generator.", ""])
def test_mmagics_checkpoint_loads(prefix: str, tmp_path: Path) -> None:
    weights = small_realbasicvsr().state_dict()
    named = {
        prefix
        + key.replace("_trunk.", "_resblocks.")
        .replace("upconv1.", "upsample1.upsample_conv.")
        .replace("upconv2.", "upsample2.upsample_conv."): value
        for key, value in weights.items()
    }
    if prefix:
        named["discriminator.conv_0.weight"] = torch.zeros(3)
        named["step_counter"] = torch.zeros(1)
    if prefix == "generator_ema.":
        named["generator.image_cleaning.1.weight"] = torch.zeros(3)
    torch.save({"meta": {}, "state_dict": named}, tmp_path / "mmagic.pth")
    network = load_network(str(tmp_path / "mmagic.pth"))
    assert network.facts.name == "realbasicvsr"
    assert all(torch.equal(network.state_dict()[key], value) for key, value in weights.items())
