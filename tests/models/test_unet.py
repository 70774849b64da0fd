"""Statements on the small U-Net for frames that keep their size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.networks import moving_clip, unet
from vsr.models.architectures.unet import UNet
from vsr.models.checkpoints.checkpoint import save_network
from vsr.models.loading import load_network


@pytest.mark.parametrize("scale", [1, 2])
def test_a_new_one_repeats_pixels(scale: int) -> None:
    frames = moving_clip(2, 18, 21)
    restored = UNet(scale=scale, num_feat=4)(frames[None])[0]
    expected = frames.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    torch.testing.assert_close(restored, expected, atol=1e-6, rtol=0)


def test_a_frame_is_treated_by_what_all_of_it_shows() -> None:
    """So that the strength can follow how badly the whole was coded."""
    frame = moving_clip(1, 256, 256)
    elsewhere = frame.clone()
    elsewhere[..., -16:, -16:] = torch.rand(16, 16)
    network = unet()
    ours, theirs = (network(clip[None])[0, 0, :, :8, :8] for clip in (frame, elsewhere))
    assert not torch.equal(ours, theirs)


def test_a_file_says_how_it_is_built(tmp_path: Path) -> None:
    network = UNet(scale=2, num_feat=8, num_blocks=(2, 1, 3))
    save_network(network, tmp_path / "net.safetensors")
    loaded = load_network(str(tmp_path / "net.safetensors"))
    assert [tuple(p.shape) for p in loaded.parameters()] == [
        tuple(p.shape) for p in network.parameters()
    ]
    assert loaded.facts == network.facts
