"""Pairs of frames with their true optical flow, from photographs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from vsr.quality.degradation import bicubic_down
from vsr.training.sample_order import BEGINNING, Place, generators
from vsr.training.virtual_camera import CameraMotion, film, plan, true_flow


class FlowPairs(IterableDataset[tuple[Tensor, Tensor]]):
    """An endless, seeded sequence of low-resolution pairs and the flows between them.

    A pair is (2, 3, size, size), float32 in [0, 1]; its flows are (2, 2, size, size): from the
    second frame to the first, then from the first to the second, in pixels, x first.

    Args:
        photographs: Each (3, H, W), uint8.
        size: Side of the low-resolution frames.
        scale: Ground-truth size over low-resolution size.
        motion: The camera that is moved over photographs.
        seed: Seed of the sequence; pair number n is the same however many workers draw.
        place: Where in the sequence to begin, and how workers share it.
    """

    def __init__(
        self,
        photographs: Sequence[Tensor],
        *,
        size: int,
        scale: int,
        motion: CameraMotion,
        seed: int,
        place: Place = BEGINNING,
    ) -> None:
        super().__init__()
        self.place = place
        self.photographs = [p for p in photographs if min(p.shape[-2:]) >= 1.5 * size * scale]
        self.size, self.scale, self.motion, self.seed = size, scale, motion, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rng in generators(self.seed, self.place):
            yield self.draw(rng)

    def draw(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """One pair and its flows."""
        photograph = self.photographs[int(torch.randint(len(self.photographs), (), generator=rng))]
        sides = (photograph.shape[1], photograph.shape[2])
        grid = plan(sides, 2, self.size * self.scale, self.motion, rng)
        return bicubic_down(film(photograph, grid), self.scale), true_flow(grid, self.scale)
