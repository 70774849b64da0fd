"""Clips made by moving a camera over a photograph."""

from __future__ import annotations

import torch

from vsr.models.ops.warp import warp
from vsr.training.virtual_camera import CameraMotion, film, plan, true_flow


def test_a_way_never_leaves_the_photograph() -> None:
    motion = CameraMotion(speed_px=60, acceleration_px=8, turn_deg=10, zoom=0.1, reduction=3)
    rng = torch.Generator().manual_seed(0)
    for _ in range(100):
        grid = plan((90, 120), 8, 48, motion, rng)
        assert grid.shape == (8, 48, 48, 2)
        assert grid.amin() >= 2
        assert (grid.amax((0, 1, 2)) <= torch.tensor([117.0, 87.0])).all()


def test_a_still_camera_sees_the_photograph_itself() -> None:
    photograph = torch.randint(0, 256, (3, 60, 70), dtype=torch.uint8)
    axis = torch.arange(16, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(axis + 20, axis + 30, indexing="xy"), -1)[None]
    clip = film(photograph, grid).mul(255)
    torch.testing.assert_close(clip[0], photograph[:, 30:46, 20:36].float(), atol=0.01, rtol=0)


def test_the_true_flow_leads_from_frame_to_frame() -> None:
    axis = torch.linspace(0, 9, 160)
    photograph = (127 + 60 * torch.sin(axis)[:, None] + 60 * torch.cos(1.3 * axis)).byte()
    motion = CameraMotion(speed_px=4, acceleration_px=0, turn_deg=3, zoom=0.02, reduction=1.1)
    grid = plan((160, 160), 2, 64, motion, torch.Generator().manual_seed(2))
    first, second = film(photograph.expand(3, -1, -1), grid)
    for start, end, flow in zip((second, first), (first, second), true_flow(grid, 1), strict=True):
        inner = (slice(None), slice(8, -8), slice(8, -8))
        apart = (start - end)[inner].abs().mean()
        aligned = (warp(end[None], flow[None])[0] - start)[inner].abs().mean()
        assert aligned < 0.1 * apart


def test_the_same_seed_gives_the_same_way() -> None:
    motion = CameraMotion()
    first, second = (
        plan((400, 500), 4, 64, motion, torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first, second)
