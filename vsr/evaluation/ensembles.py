"""Self-ensembles: one restorer, or eight, one for each orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from vsr.models.network import Network
from vsr.restorer import FULL, Restorer
from vsr.types import Chunk

SPATIAL, FLIP = "spatial", "flip"
ENSEMBLES = (SPATIAL, FLIP)
"""``spatial``: the mean over the eight orientations of the frames; ``flip``: over both directions
of time. Together sixteen passes."""


@dataclass(frozen=True, kw_only=True)
class InferenceMode:
    """How clips are restored: streamed or whole, with ensembles.

    Attributes:
        whole: The whole clip is one step, as in papers; else chunk by chunk, by ``Restorer``.
        chunk: See ``Restorer``; unused for whole clips.
        look_ahead: See ``Restorer``; unused for whole clips.
        ensemble: Some of ``ENSEMBLES``.
    """

    whole: bool = False
    chunk: int | None = None
    look_ahead: int | str | None = None
    ensemble: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``whole`` or ``streamed``."""
        return "whole" if self.whole else "streamed"


class EnsemblePasses:
    """One clip through one restorer, or through eight of them, one for each orientation."""

    def __init__(
        self, network: Network[Any], device: torch.device, way: InferenceMode, num_frames: int
    ) -> None:
        self._orientations = range(8 if SPATIAL in way.ensemble else 1)
        precision = str(network.dtype).removeprefix("torch.")
        self._restorers = [
            Restorer(
                network,
                chunk=num_frames if way.whole else way.chunk,
                look_ahead=FULL if way.whole else way.look_ahead,
                device=str(device),
                precision=precision,
            )
            for _ in self._orientations
        ]
        self._left: list[list[Tensor]] = [[] for _ in self._orientations]
        self._entered = 0

    @property
    def passed_through(self) -> int:
        return sum(restorer.passed_through for restorer in self._restorers)

    def push(self, low: Tensor) -> list[Tensor]:
        """Frames that all orientations have restored, (T, 3, H, W), their mean."""
        pts = tuple(range(self._entered, self._entered + len(low)))
        self._entered += len(low)
        for turn, restorer in zip(self._orientations, self._restorers, strict=True):
            chunk = Chunk(frames=_turn(low, turn), pts=pts, time_base=Fraction(1, 25))
            self._left[turn] += _turned_back(restorer.push(chunk), turn)
        return self._take()

    def drain(self) -> list[Tensor]:
        """The frames that are left."""
        for turn, restorer in zip(self._orientations, self._restorers, strict=True):
            self._left[turn] += _turned_back(restorer.drain(), turn)
        return self._take()

    def _take(self) -> list[Tensor]:
        if len(self._left) == 1:
            taken, self._left[0] = self._left[0], []
            return taken
        # Restorers that ran out of memory give smaller pieces than the others.
        joined = [torch.cat(parts) for parts in self._left if parts]
        count = min(map(len, joined)) if len(joined) == len(self._left) else 0
        if not count:
            return []
        self._left = [[frames[count:]] if len(frames) > count else [] for frames in joined]
        return [torch.stack([frames[:count] for frames in joined]).mean(0)]


def _turn(frames: Tensor, turn: int) -> Tensor:
    """One of the eight orientations of frames: flips, then the sides exchanged."""
    axes = [axis for bit, axis in ((1, -1), (2, -2)) if turn & bit]
    flipped = frames.flip(axes) if axes else frames
    return flipped.mT if turn & 4 else flipped


def _turned_back(chunks: Sequence[Chunk], turn: int) -> list[Tensor]:
    axes = [axis for bit, axis in ((1, -1), (2, -2)) if turn & bit]
    upright = (chunk.frames.mT if turn & 4 else chunk.frames for chunk in chunks)
    return [frames.flip(axes) if axes else frames for frames in upright]
