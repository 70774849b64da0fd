"""Scene cut detection by ffmpeg's scene score on reduced frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from vsr.scenes.state import MarkerState, ReducedFrame, joined, marked, part
from vsr.streams.decode.scene_score import SceneScore
from vsr.types import Chunk

REDUCED = 160
"""Longer side, in pixels, of the frames that are compared."""

THRESHOLD = 6.0
"""ffmpeg's scene score from which on a frame may be the first of a scene."""

DOUBT = 3
"""Frames behind a possible cut that decide whether it was one."""

FLASH = 0.5
"""A later frame that differs this much from the one before the cut, relative to the first, is the
old scene again: a flash."""

STANDS_OUT = 2.0
"""Times the differences of the frames around it that a cut's own must be."""

_COMPARED = 2
"""Frames that the scene score remembers: the last one, and how it differed from the one before."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _HeldFrame:
    """A held-back frame and its measurements."""

    chunk: Chunk
    glimpse: ReducedFrame


class Detector:
    """Detects scene cuts.

    A frame with a high score is held back, with up to ``DOUBT`` later frames, until these show
    whether it is a cut, a flash or a fast pan. Other frames pass without delay.
    """

    def __init__(self) -> None:
        self._score: SceneScore | None = None
        self._past: deque[ReducedFrame] = deque(maxlen=DOUBT)
        self._doubted: list[_HeldFrame] = []

    def push(self, chunk: Chunk) -> list[Chunk]:
        left: list[Chunk] = []
        for i, glimpse in enumerate(self._compare(chunk)):
            left += self._judge(_HeldFrame(chunk=part(chunk, i, i + 1), glimpse=glimpse))
        return joined(left)

    def drain(self) -> list[Chunk]:
        return joined(self._decide())

    @property
    def state(self) -> MarkerState:
        return MarkerState(
            past=tuple(self._past), doubted=tuple(held.glimpse for held in self._doubted)
        )

    def resume(self, state: MarkerState, held: list[Chunk]) -> None:
        self._past.extend(state.past)
        frames = [part(chunk, i, i + 1) for chunk in held for i in range(len(chunk))]
        self._doubted = [
            _HeldFrame(chunk=frame, glimpse=glimpse)
            for frame, glimpse in zip(frames, state.doubted, strict=True)
        ]
        for glimpse in (*state.past, *state.doubted)[-_COMPARED:]:
            self._scorer(glimpse.reduced).compare(glimpse.reduced)

    def _compare(self, chunk: Chunk) -> list[ReducedFrame]:
        return [
            ReducedFrame(reduced=image, change=self._scorer(image).compare(image))
            for image in reduce_frames(chunk.frames)
        ]

    def _scorer(self, image: np.ndarray[Any, Any]) -> SceneScore:
        if self._score is None:
            self._score = SceneScore(*image.shape[:2])
        return self._score

    def _judge(self, seen: _HeldFrame) -> list[Chunk]:
        """Frames that this one's arrival decides."""
        left: list[Chunk] = []
        may_start = bool(self._past) and seen.glimpse.change.score >= THRESHOLD
        if may_start and not self._is_back(seen):
            left = self._decide()
        if not (self._doubted or may_start):
            self._past.append(seen.glimpse)
            return [seen.chunk]
        self._doubted.append(seen)
        if len(self._doubted) > DOUBT or self._is_back(seen):
            left += self._decide()
        return left

    def _is_back(self, seen: _HeldFrame) -> bool:
        """Whether a later frame shows the previous scene again."""
        if not self._doubted or seen is self._doubted[0]:
            return False
        before, first = self._past[-1], self._doubted[0].glimpse
        return seen.glimpse.difference(before) < FLASH * first.difference(before)

    def _decide(self) -> list[Chunk]:
        """Release the held frames; the first is marked if it starts a scene."""
        if not self._doubted:
            return []
        starts = self._stands_out() and not self._is_back(self._doubted[-1])
        chunks = [held.chunk for held in self._doubted]
        self._past.extend(held.glimpse for held in self._doubted)
        self._doubted = []
        return [marked(chunks[0], {0} if starts else set()), *chunks[1:]]

    def _stands_out(self) -> bool:
        """Whether the change is abrupt compared with the frames before and after it."""
        first, *behind = (held.glimpse for held in self._doubted)
        around = [glimpse.change.difference for glimpse in (*list(self._past)[1:], *behind)]
        return first.change.difference >= STANDS_OUT * max(around, default=0.0)


def reduce_frames(frames: torch.Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(T, h, w, 3), 8 bit, the longer side at most ``REDUCED``."""
    height, width = frames.shape[-2:]
    ratio = min(1.0, REDUCED / max(height, width))
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    times = height // size[0] if height % size[0] == 0 else 1
    # Rows first: torch adds them up three times as fast as it pools.
    fewer = frames.float().unflatten(2, (-1, times)).mean(3)  # type: ignore[no-untyped-call]
    small = F.adaptive_avg_pool2d(fewer, size).clamp(0, 1).mul(255).round()
    return small.byte().movedim(1, -1).contiguous().cpu().numpy()
