"""Statements on the small U-Net for frames that keep their size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.networks import moving_clip
from vsr.models.architectures.unet import UNet, haar, inverse_haar
from vsr.models.checkpoints.checkpoint import save_network
from vsr.models.loading import load_network


@pytest.mark.parametrize("scale", [1, 2])
def test_a_new_one_repeats_pixels(scale: int) -> None:
    frames = moving_clip(2, 18, 21)
    restored = UNet(scale=scale, num_feat=4)(frames[None])[0]
    expected = frames.repeat_interleave(scale, -2).repeat_interleave(scale, -1)
    torch.testing.assert_close(restored, expected, atol=1e-6, rtol=0)


def test_a_haar_transform_is_orthonormal_and_inverted() -> None:
    image = moving_clip(2, 12, 8)
    bands = haar(image)
    torch.testing.assert_close(bands.square().sum(), image.square().sum())
    torch.testing.assert_close(inverse_haar(bands), image)
    flat = haar(torch.ones(1, 1, 2, 2)).flatten()
    assert flat.tolist() == [2, 0, 0, 0]


def test_a_file_says_how_it_is_built(tmp_path: Path) -> None:
    network = UNet(scale=2, num_feat=8, num_blocks=(2, 1, 3))
    save_network(network, tmp_path / "net.safetensors")
    loaded = load_network(str(tmp_path / "net.safetensors"))
    assert [tuple(p.shape) for p in loaded.parameters()] == [
        tuple(p.shape) for p in network.parameters()
    ]
    assert loaded.facts == network.facts
