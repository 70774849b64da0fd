"""Footage with known cuts, and with what is easily taken for one: fades, flashes, fast pans."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

HEIGHT, WIDTH = 180, 320
GRAIN = 0.012


@dataclass(frozen=True, kw_only=True, eq=False)
class Footage:
    """A sequence of scenes.

    Attributes:
        frames: (T, 3, H, W), RGB in [0, 1].
        cuts: First frames of scenes that begin at once.
        gradual: First and last frames of transitions that take their time, by kind.
        disturbances: First and last frames of what is no transition, by kind.
    """

    frames: Tensor
    cuts: list[int]
    gradual: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    disturbances: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


class Director:
    """Draws scenes and what happens between and in them.

    Args:
        seed: Seed of everything that is random.
        num_scenes: In a sequence.
    """

    def __init__(self, seed: int, num_scenes: int = 16) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._num_scenes = num_scenes

    def shoot(self) -> Footage:
        """A sequence."""
        footage = Footage(frames=torch.empty(0), cuts=[])
        shots: list[Tensor] = []
        length = 0
        for number in range(self._num_scenes):
            scene = self._scene(length, footage)
            kind = self._choose(["cut", "cut", "cut", "fade", "dissolve"]) if number else "first"
            if kind == "cut":
                footage.cuts.append(length)
            elif kind != "first":
                scene, overlap = self._join(kind, shots, scene)
                length -= overlap
                footage.gradual.setdefault(kind, []).append((length, length + 2 * overlap))
            shots.append(scene)
            length += len(scene)
        frames = torch.cat(shots)
        grain = GRAIN * torch.randn(frames.shape, generator=self._generator)
        return Footage(
            frames=(frames + grain).clamp(0, 1),
            cuts=footage.cuts,
            gradual=footage.gradual,
            disturbances=footage.disturbances,
        )

    def _scene(self, begins: int, footage: Footage) -> Tensor:
        """A camera that moves over a painting, with what disturbs it."""
        length = self._integer(30, 70)
        speed = self._number(0, 3)
        event = self._choose(["none", "flash", "flash", "pan", "pan", "shake"])
        speeds = torch.full((length,), speed)
        first = self._integer(10, length - 14)
        last = first
        if event == "pan":
            last = first + self._integer(4, 10)
            speeds[first : last + 1] = self._number(15, 50)
        places = torch.cumsum(speeds, 0)
        if event == "shake":
            last = first + 8
            places[first : last + 1] += 12 * torch.randn(
                last + 1 - first, generator=self._generator
            )
        shot = self._film(places, self._number(0, 2 * math.pi))
        if event == "flash":
            last = first + self._integer(0, 2)
            shot[first : last + 1] = self._flashed(shot[first : last + 1])
        if event != "none":
            footage.disturbances.setdefault(event, []).append((begins + first, begins + last))
        return shot

    def _flashed(self, frames: Tensor) -> Tensor:
        strength = self._number(0.5, 1.0)
        return frames + strength * (1 - frames)

    def _join(self, kind: str, shots: list[Tensor], scene: Tensor) -> tuple[Tensor, int]:
        """Blend a scene with the end of the one before; how many frames of that it takes back."""
        overlap = self._integer(6, 12)
        before = shots[-1]
        if kind == "dissolve":
            weights = torch.linspace(0, 1, overlap + 2)[1:-1].view(-1, 1, 1, 1)
            mixed = (1 - weights) * before[-overlap:] + weights * scene[:overlap]
            shots[-1] = before[:-overlap]
            return torch.cat([mixed, scene[overlap:]]), overlap
        ramp = torch.linspace(1, 0, overlap).view(-1, 1, 1, 1)
        before[-overlap:] *= ramp
        scene[:overlap] *= ramp.flip(0)
        shots[-1], dark = before[:-overlap], before[-overlap:]
        return torch.cat([dark, scene]), overlap

    def _film(self, places: Tensor, angle: float) -> Tensor:
        """Frames at places along a line across a painting that repeats itself."""
        painting = self._painting()
        height, width = painting.shape[-2:]
        rows, columns = torch.arange(HEIGHT), torch.arange(WIDTH)
        shot = []
        for place in places.tolist():
            y = (rows + round(place * math.sin(angle))) % height
            x = (columns + round(place * math.cos(angle))) % width
            shot.append(painting[:, y][:, :, x])
        return torch.stack(shot)

    def _painting(self) -> Tensor:
        """(3, 2 H, 3 W): clouds of colour at several sizes, and flat shapes with edges."""
        size = (2 * HEIGHT, 3 * WIDTH)
        brightness, contrast = self._number(0.2, 0.7), self._number(0.15, 0.5)
        picture = torch.zeros(3, *size)
        for cells in (3, 8, 24, 80):
            noise = torch.rand(1, 3, cells, 2 * cells, generator=self._generator) - 0.5
            picture += F.interpolate(noise, size, mode="bicubic")[0] / cells**0.4
        picture = brightness + contrast * picture
        for _ in range(self._integer(5, 25)):
            top, left = self._integer(0, size[0] - 20), self._integer(0, size[1] - 20)
            bottom, right = top + self._integer(10, 120), left + self._integer(10, 160)
            colour = torch.rand(3, 1, 1, generator=self._generator)
            picture[:, top:bottom, left:right] = brightness + contrast * (colour - 0.5) * 1.6
        return picture.clamp(0, 1)

    def _number(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand(1, generator=self._generator))

    def _integer(self, low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=self._generator))

    def _choose(self, among: list[str]) -> str:
        return among[self._integer(0, len(among) - 1)]


def sequences(first_seed: int, count: int) -> Iterator[Footage]:
    """Sequences, each by its seed."""
    for seed in range(first_seed, first_seed + count):
        yield Director(seed).shoot()
