"""The demo's ground truth moves exactly, does not flicker, and is the same in every run."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from examples.demo.clip import HEIGHT, WIDTH, Camera, DemoClip, Sprite, draw
from examples.demo.sound import SAMPLE_RATE, render_sound
from examples.demo.street import paint_street


@pytest.fixture(scope="module")
def clip() -> DemoClip:
    return DemoClip()


def test_a_frame_is_a_picture(clip: DemoClip) -> None:
    frame = clip.frame(0)
    assert frame.shape == (3, HEIGHT, WIDTH)
    assert frame.min() >= 0
    assert frame.max() <= 1
    assert frame.std() > 0.15


def test_a_frame_depends_on_its_number_alone(clip: DemoClip) -> None:
    first = clip.frame(7)
    clip.frame(8)
    assert torch.equal(clip.frame(7), first)
    assert torch.equal(DemoClip().frame(7), first)


def test_everything_moves_from_frame_to_frame(clip: DemoClip) -> None:
    change = (clip.frame(40) - clip.frame(41)).abs().mean(dim=0)
    areas = change[:640].unfold(0, 160, 160).unfold(1, 160, 160)
    assert areas.mean(dim=(-2, -1)).min() > 0.002


@pytest.mark.parametrize("seconds", [0, 30, 600])
def test_the_picture_is_filled_at_any_time(clip: DemoClip, seconds: int) -> None:
    frame = clip.frame(seconds * 25)
    assert frame.amax(dim=0).min() > 0.01


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 13.7])
def test_parts_lie_where_the_camera_says(shift: float) -> None:
    camera = Camera(x=300 + shift, y=200, zoom=1.1, angle=0.02)
    frame = torch.zeros(3, HEIGHT, WIDTH)
    draw(frame, Sprite(image=_dot(), left=310, top=190), camera)
    dx, dy = 310 + 16 - camera.x, 190 + 16 - camera.y
    sine, cosine = math.sin(camera.angle), math.cos(camera.angle)
    expected_x = WIDTH / 2 + camera.zoom * (cosine * dx + sine * dy)
    expected_y = HEIGHT / 2 + camera.zoom * (-sine * dx + cosine * dy)
    assert _centre(frame[0]) == pytest.approx((expected_x, expected_y), abs=0.01)


def test_fine_detail_does_not_flicker_as_it_moves() -> None:
    street = Sprite(image=paint_street())
    detail = []
    for step in range(8):
        frame = torch.zeros(3, HEIGHT, WIDTH)
        draw(frame, street, Camera(x=745 + step / 8, y=490 + step / 8, zoom=0.95))
        bricks = frame[:, 150:440, :200]
        detail.append(float((bricks[:, 1:] - bricks[:, :-1]).square().mean()))
    assert max(detail) / min(detail) < 1.1


def test_the_sound_is_stereo_and_lasts_as_long_as_asked() -> None:
    sound = render_sound(1.5)
    assert sound.shape == (2, 1.5 * SAMPLE_RATE)
    assert 0.2 < np.abs(sound).max() <= 1
    assert np.abs(sound[0] - sound[1]).max() > 0.05


def _dot() -> Tensor:
    """A smooth white dot, 32 pixels wide at twice the density."""
    axis = torch.arange(64) + 0.5 - 32
    dot = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 6.0**2))
    return dot.expand(4, -1, -1)


def _centre(image: Tensor) -> tuple[float, float]:
    rows, columns = (torch.arange(side) + 0.5 for side in image.shape)
    total = image.sum()
    return float((image.sum(0) * columns).sum() / total), float((image.sum(1) * rows).sum() / total)
