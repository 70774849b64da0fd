"""Motion in a scene besides the camera's: layers in front of it, the light, and the open shutter.

N frames, S side of the clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.quality.draw import between, chance
from vsr.training.virtual_camera import film

LOBES = 4
"""Waves around the outline of a layer."""

EDGE_PX = 1.5
"""Width of the outline of a layer, in pixels of its photograph."""

EXPOSURES = 4
"""Moments that a frame with an open shutter is the mean of."""


@dataclass(frozen=True, kw_only=True)
class SceneMotion:
    """Ranges of the random motion of each clip from photographs.

    Attributes:
        layer_share: Share of clips with a layer: a part of another photograph with a rounded,
            irregular outline, which moves by itself and covers what is behind it.
        layer_radius: Mean radius of a layer's outline over the side of the clip, at least and at
            most.
        shutter_share: Share of clips whose frames are blurred by motion.
        shutter: Longest time that the shutter is open, over the time between two frames.
        light_share: Share of clips whose light changes.
        light: Largest relative change of the light over a clip.
    """

    layer_share: float = 0.0
    layer_radius: tuple[float, float] = (0.1, 0.4)
    shutter_share: float = 0.0
    shutter: float = 0.5
    light_share: float = 0.0
    light: float = 0.2

    def __post_init__(self) -> None:
        for name in ("layer_share", "shutter_share", "light_share", "shutter", "light"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; give 0 to 1")


def has_layer(scene: SceneMotion, rng: torch.Generator) -> bool:
    """Draw whether a clip has a layer."""
    return chance(scene.layer_share, rng)


def take(shots: list[tuple[Tensor, Tensor]], scene: SceneMotion, rng: torch.Generator) -> Tensor:
    """Film a scene.

    Args:
        shots: Photographs (3, H, W), uint8, from the back to the front, and the ways of the camera
            over each, (N, S, S, 2) as ``plan`` returns them.
        scene: Ranges of the random motion.
        rng: Source of all randomness.

    Returns:
        (N, 3, S, S), float32 in [0, 1].
    """
    outlines = [_Outline(grid, scene, rng) for _, grid in shots[1:]]
    shutter = between(0, scene.shutter, rng) if chance(scene.shutter_share, rng) else 0.0
    moments = torch.linspace(0, shutter, EXPOSURES if shutter else 1).tolist()
    frames = sum(_exposed(shots, outlines, moment) for moment in moments) / len(moments)
    assert isinstance(frames, Tensor)
    return _lit(frames, scene, rng)


class _Outline:
    """An irregular outline, fixed to its photograph, around what is in the middle of a clip."""

    def __init__(self, grid: Tensor, scene: SceneMotion, rng: torch.Generator) -> None:
        middle, side = grid[len(grid) // 2], grid.shape[1]
        pixel = float((middle[0, 1] - middle[0, 0]).norm())
        self._radius = between(*scene.layer_radius, rng) * side * pixel
        place = (torch.rand(2, generator=rng) * (side - 1)).long()
        self._centre = middle[place[0], place[1]]
        self._heights = 0.3 * torch.rand(LOBES, generator=rng) / torch.arange(1, LOBES + 1)
        self._phases = 2 * math.pi * torch.rand(LOBES, generator=rng)

    def inside(self, grid: Tensor) -> Tensor:
        """(N, 1, S, S): 1 inside, 0 outside."""
        x, y = (grid - self._centre).unbind(-1)
        angle, waves = torch.atan2(y, x), torch.arange(1, LOBES + 1).view(-1, 1, 1, 1)
        heights, phases = (v.view(-1, 1, 1, 1) for v in (self._heights, self._phases))
        edge = self._radius * (1 + (heights * torch.cos(waves * angle + phases)).sum(0))
        return ((edge - torch.hypot(x, y)) / EDGE_PX + 0.5).clamp(0, 1)[:, None]


def _exposed(shots: list[tuple[Tensor, Tensor]], outlines: list[_Outline], moment: float) -> Tensor:
    """All frames at a moment, given as a share of the time between two."""
    (photograph, way), *layers = shots
    frames = film(photograph, _later(way, moment))
    for (photograph, way), outline in zip(layers, outlines, strict=True):
        grid = _later(way, moment)
        frames = frames.lerp(film(photograph, grid), outline.inside(grid))
    return frames


def _later(way: Tensor, moment: float) -> Tensor:
    """A way between its frames; the last frame stays, since nothing is known behind it."""
    if not moment:
        return way
    return way.lerp(torch.cat([way[1:], way[-1:]]), moment)


def _lit(frames: Tensor, scene: SceneMotion, rng: torch.Generator) -> Tensor:
    """Frames in a light that swells and falls smoothly."""
    if not chance(scene.light_share, rng):
        return frames
    change, phase = between(-scene.light, scene.light, rng), between(0, math.pi, rng)
    t = torch.linspace(0, math.pi, len(frames))
    light = 1 + change * torch.sin(t + phase)
    return (frames * light.view(-1, 1, 1, 1)).clamp_(0, 1)
