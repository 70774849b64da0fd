"""Layers, open shutters and changing light in clips from photographs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.quality.filters import film_grain
from vsr.training.moving_scene import SceneMotion, take
from vsr.training.virtual_camera import film


def shot(level: int, step: float) -> tuple[Tensor, Tensor]:
    """A grey photograph with a bright line, and a camera that moves along x."""
    photograph = torch.full((3, 80, 120), level, dtype=torch.uint8)
    photograph[:, :, 60] = 255
    axis = torch.arange(40, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(axis + 40, axis + 20, indexing="xy"), -1)
    moved = step * torch.arange(4, dtype=torch.float32).view(-1, 1, 1, 1)
    return photograph, grid + torch.cat([moved, torch.zeros_like(moved)], -1)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_without_motion_of_its_own_a_scene_is_what_the_camera_sees() -> None:
    back = shot(60, 2.0)
    assert torch.equal(take([back], SceneMotion(), rng()), film(*back))


def test_a_layer_covers_what_is_behind_it_and_moves_by_itself() -> None:
    back, front = shot(0, 0.0), shot(200, 3.0)
    clip = take([back, front], SceneMotion(layer_radius=(0.2, 0.2)), rng())
    covered = clip[:, 0] > 0.5
    covered &= film(*back)[:, 0] < 0.5
    areas = covered.flatten(1).sum(1)
    assert (areas > 40).all()
    assert (areas < 0.5 * 40 * 40).all()
    columns = torch.arange(40.0)
    centres = [float((mask.sum(0) * columns).sum() / mask.sum()) for mask in covered[:3]]
    assert centres[0] - centres[1] == pytest.approx(3.0, abs=1.0)


def test_an_open_shutter_blurs_what_moves_and_nothing_else() -> None:
    scene = SceneMotion(shutter_share=1.0, shutter=1.0)
    still, moving = shot(60, 0.0), shot(60, 6.0)
    torch.testing.assert_close(take([still], scene, rng()), film(*still))
    sharp, blurred = film(*moving), take([moving], scene, rng())
    assert blurred[0].amax() < 0.9 * sharp[0].amax()
    torch.testing.assert_close(blurred[-1], sharp[-1])


def test_light_changes_smoothly_and_within_its_bound() -> None:
    back = shot(100, 0.0)
    lit = take([back], SceneMotion(light_share=1.0, light=0.2), rng()) / film(*back)
    gains = lit[:, 0, 0, 0]
    assert (gains - 1).abs().max() <= 0.2
    assert gains.std() > 0


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="layer_share is 2"):
        SceneMotion(layer_share=2.0)


def test_grain_is_grey_coarse_and_strongest_in_mid_tones() -> None:
    levels = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(-1, 3, 64, 64)
    grain = film_grain(levels, 0.05, 1.0, rng()) - levels
    assert torch.equal(grain[:, 0], grain[:, 2])
    dark, middle, bright = (float(one.std()) for one in grain[:, 0])
    assert dark == bright == 0
    assert middle == pytest.approx(0.05, rel=0.1)
    around = (grain[1, 0, :, 1:] * grain[1, 0, :, :-1]).mean() / middle**2
    assert around > 0.5
