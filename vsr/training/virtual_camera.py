"""Clips from photographs: a virtual camera that pans, turns, zooms and accelerates.

N frames, H, W size of the clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MAX_ATTEMPTS = 20
"""Camera paths drawn before the photograph is given a still camera instead."""


@dataclass(frozen=True, kw_only=True)
class CameraMotion:
    """Limits of the camera's motion; all is drawn uniformly up to these, speeds squared first.

    Half of the ways neither turn, zoom nor accelerate, and some do not move at all: real footage
    stands still more often than anything drawn at random.

    Attributes:
        still_share: Share of ways without speed, 0 to 1.
        speed_px: Pixels per frame, in the clip's pixels.
        acceleration_px: Change of the speed per frame.
        turn_deg: Degrees per frame.
        zoom: Relative change of size per frame.
        reduction: Photograph pixels per clip pixel: 1 is the sharpest a photograph has.
    """

    still_share: float = 0.15
    speed_px: float = 20.0
    acceleration_px: float = 1.0
    turn_deg: float = 1.0
    zoom: float = 0.01
    reduction: float = 1.8


def plan(
    sides: tuple[int, int], num_frames: int, size: int, motion: CameraMotion, rng: torch.Generator
) -> Tensor:
    """Draw the way of a square camera over a photograph.

    Args:
        sides: Height and width of the photograph, each at least ``size`` + 5.
        num_frames: N.
        size: Side of the clip.
        motion: Limits of the motion.
        rng: Source of all randomness.

    Returns:
        (N, size, size, 2), sampling positions in photograph pixels, x first. All of them lie inside
        the photograph: nothing is reflected or repeated into view.
    """
    for attempt in range(MAX_ATTEMPTS):
        grid = _camera_path(num_frames, size, motion, 1 - attempt / MAX_ATTEMPTS, rng)
        placed = _place(grid, sides, rng)
        if placed is not None:
            return placed
    axis = torch.arange(size, dtype=torch.float32)
    still = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    placed = _place(still.expand(num_frames, -1, -1, -1), sides, rng)
    if placed is None:
        raise ValueError(f"a photograph of {sides} does not hold a clip of {size} px")
    return placed


def film(photograph: Tensor, grid: Tensor) -> Tensor:
    """Take a clip along a way.

    Args:
        photograph: (3, H, W), uint8.
        grid: Result of ``plan`` for its sides.

    Returns:
        (N, 3, size, size), float32 in [0, 1]; bicubic samples.
    """
    part, origin = _seen(photograph, grid)
    sides = torch.tensor([part.shape[2] - 1, part.shape[1] - 1])
    pictures = part.float().div(255).expand(len(grid), -1, -1, -1)
    positions = (grid - origin) / sides * 2 - 1
    return F.grid_sample(pictures, positions, mode="bicubic", align_corners=True).clamp_(0, 1)


def true_flow(grid: Tensor, scale: int) -> Tensor:
    """The optical flow between the first two frames of a way, both directions.

    Args:
        grid: Result of ``plan`` for at least two frames.
        scale: Size of the clip over the size of the flow's frames.

    Returns:
        (2, 2, size / scale, size / scale): from the second frame to the first, then from the first
        to the second; pixels of the small frames, x first.
    """
    axis = torch.arange(grid.shape[1] // scale) * scale + (scale - 1) / 2
    place = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    origin = grid[:2, 0, 0]
    turn = torch.stack([grid[:2, 0, 1] - origin, grid[:2, 1, 0] - origin], -1)

    def flow(start: int, end: int) -> Tensor:
        seen = place @ turn[start].T + origin[start]
        moved = (seen - origin[end]) @ torch.linalg.inv(turn[end]).T
        steps: Tensor = (moved - place) / scale
        return steps.permute(2, 0, 1)

    return torch.stack([flow(1, 0), flow(0, 1)])


def detail(photograph: Tensor, grid: Tensor) -> float:
    """Mean difference of neighbouring pixels in the part of the photograph that is seen."""
    part, _ = _seen(photograph, grid)
    rows = part[:, ::4].short()
    return float(rows.diff(dim=-1).abs().float().mean())


def _seen(photograph: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """The part of the photograph that a way touches, and where that begins, x first."""
    left, top = (max(int(v) - 2, 0) for v in grid.amin((0, 1, 2)))
    right, bottom = (int(v) + 4 for v in grid.amax((0, 1, 2)))
    return photograph[:, top:bottom, left:right], torch.tensor([left, top])


def _camera_path(
    num_frames: int, size: int, motion: CameraMotion, share: float, rng: torch.Generator
) -> Tensor:
    """Sampling positions (N, size, size, 2) in photograph pixels, x first, around the origin."""
    t = torch.arange(num_frames) - (num_frames - 1) / 2
    heading, start = (2 * math.pi * _uniform(rng) for _ in range(2))
    unsteady = share * (_uniform(rng) < 0.5)
    moving = share * (_uniform(rng) >= motion.still_share)
    speed = moving * motion.speed_px * _uniform(rng) ** 2
    velocity = speed * torch.tensor([math.cos(heading), math.sin(heading)])
    acceleration = unsteady * motion.acceleration_px * (torch.rand(2, generator=rng) * 2 - 1)
    travel = velocity * t[:, None] + acceleration * t[:, None] ** 2 / 2
    angle = start + unsteady * math.radians(motion.turn_deg) * _signed_square(rng) * t
    reduction = 1 + (motion.reduction - 1) * _uniform(rng) * share
    size_of_pixel = reduction * torch.exp(unsteady * motion.zoom * _signed_square(rng) * t)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)
    axis = torch.arange(size) - (size - 1) / 2
    square = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    turned = torch.einsum("nij,hwj->nhwi", turn * size_of_pixel[:, None, None], square)
    return turned + (travel * reduction)[:, None, None]


def _place(grid: Tensor, sides: tuple[int, int], rng: torch.Generator) -> Tensor | None:
    """The path shifted to a random place where it fits, with two pixels to spare for the kernel."""
    low, high = grid.amin((0, 1, 2)), grid.amax((0, 1, 2))
    room = torch.tensor([sides[1], sides[0]]) - 5 - (high - low)
    if (room < 0).any():
        return None
    return grid - low + 2 + room * torch.rand(2, generator=rng)


def _uniform(rng: torch.Generator) -> float:
    return float(torch.rand((), generator=rng))


def _signed_square(rng: torch.Generator) -> float:
    value = 2 * _uniform(rng) - 1
    return value * abs(value)
