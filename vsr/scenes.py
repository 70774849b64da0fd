"""Where scenes begin: found in the frames, listed in a file, or every so many frames.

Nothing propagates from one scene into another, so that a missed cut costs ghosts of the old scene
and a false one costs the first frames their past. A marker takes chunks as they are decoded and
gives them back with marks; one that finds cuts by itself holds frames back only while it doubts.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from vsr.errors import ConfigurationError
from vsr.streams.scene_score import Change, SceneScore
from vsr.types import Chunk, StreamInfo

AUTO, OFF = "auto", "off"
"""Words for finding cuts, and for taking all frames as one scene."""

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


class SceneMarker(Protocol):
    """Marks the first frames of scenes. Used by one thread."""

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Take frames, and return those, in order, that are marked or known to need no mark."""
        ...

    def drain(self) -> list[Chunk]:
        """Return what is still held back, the stream having ended."""
        ...


def scene_marker(asked: str, info: StreamInfo) -> SceneMarker:
    """The marker for what people ask for.

    Args:
        asked: ``auto``, ``off``, ``every N`` or the name of a file, see ``Listed``.
        info: Of the stream.

    Raises:
        ConfigurationError: None of these, or a file that cannot be read.
    """
    if asked == AUTO:
        return Detector()
    if asked == OFF:
        return Listed(numbers=frozenset(), times=())
    every = re.fullmatch(r"every[ =:]?([1-9]\d*)", asked)
    if every:
        return Every(int(every[1]))
    return read_list(Path(asked), info)


class Every:
    """A scene of so many frames after another.

    Args:
        num_frames: Of a scene.
    """

    def __init__(self, num_frames: int) -> None:
        self._num_frames, self._seen = num_frames, 0

    def push(self, chunk: Chunk) -> list[Chunk]:
        starts = {i for i in range(len(chunk)) if (self._seen + i) % self._num_frames == 0}
        self._seen += len(chunk)
        return [_marked(chunk, starts)]

    def drain(self) -> list[Chunk]:
        return []


class Listed:
    """Scenes that are known.

    Args:
        numbers: Of the frames that begin scenes, counted from the first that is restored.
        times: In the stream's pts seconds; the first frame at or behind each begins a scene.
    """

    def __init__(self, *, numbers: frozenset[int], times: Sequence[Fraction]) -> None:
        self._numbers, self._times, self._seen = numbers, deque(sorted(times)), 0

    def push(self, chunk: Chunk) -> list[Chunk]:
        starts = {i for i in range(len(chunk)) if self._seen + i in self._numbers}
        self._seen += len(chunk)
        for i, pts in enumerate(chunk.pts):
            while self._times and pts * chunk.time_base >= self._times[0]:
                self._times.popleft()
                starts.add(i)
        return [_marked(chunk, starts)]

    def drain(self) -> list[Chunk]:
        return []


def read_list(path: Path, info: StreamInfo) -> Listed:
    """Scenes listed in a text file, one beginning per line.

    A whole number counts frames from the first that is restored; ``12.5`` and ``0:12.5`` are times
    after the first frame of the source. Empty lines and what follows a ``#`` are skipped.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"scenes '{path}' cannot be read ({error}); give auto, off, 'every N' or a text file"
        ) from error
    numbers, times = set(), []
    for number, line in enumerate(lines, 1):
        entry = line.partition("#")[0].strip()
        if entry.isdecimal():
            numbers.add(int(entry))
        elif re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", entry):
            times.append(info.start_pts * info.time_base + _seconds(entry))
        elif entry:
            raise ConfigurationError(
                f"'{path}' line {number} is {entry!r}; give a frame's number or a time (0:12.5)"
            )
    return Listed(numbers=frozenset(numbers), times=times)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """A frame, reduced, and how it differs from the one before."""

    chunk: Chunk
    reduced: np.ndarray[Any, np.dtype[np.uint8]]
    change: Change

    def difference(self, other: _Seen) -> float:
        """Mean absolute difference from another frame, in hundredths of the range."""
        apart = np.abs(self.reduced.astype(np.int16) - other.reduced).mean()
        return float(apart) * 100 / 255


class Detector:
    """Finds cuts by ffmpeg's scene score on reduced frames.

    A frame with a high score is held back, with up to ``DOUBT`` frames behind it, until those show
    that it was no flash and no fast pan. Otherwise frames leave as they come.
    """

    def __init__(self) -> None:
        self._score: SceneScore | None = None
        self._past: deque[_Seen] = deque(maxlen=DOUBT)
        self._doubted: list[_Seen] = []

    def push(self, chunk: Chunk) -> list[Chunk]:
        left: list[Chunk] = []
        for seen in self._compare(chunk):
            left += self._judge(seen)
        return _joined(left)

    def drain(self) -> list[Chunk]:
        return _joined(self._decide())

    def _compare(self, chunk: Chunk) -> list[_Seen]:
        reduced = reduce_frames(chunk.frames)
        if self._score is None:
            self._score = SceneScore(*reduced.shape[1:3])
        return [
            _Seen(chunk=_frame(chunk, i), reduced=image, change=self._score.compare(image))
            for i, image in enumerate(reduced)
        ]

    def _judge(self, seen: _Seen) -> list[Chunk]:
        """Frames that are clear once this one is here."""
        left: list[Chunk] = []
        may_start = bool(self._past) and seen.change.score >= THRESHOLD
        if may_start and not self._is_back(seen):
            left = self._decide()
        if not (self._doubted or may_start):
            self._past.append(seen)
            return [seen.chunk]
        self._doubted.append(seen)
        if len(self._doubted) > DOUBT or self._is_back(seen):
            left += self._decide()
        return left

    def _is_back(self, seen: _Seen) -> bool:
        """Whether a frame behind the doubted one shows the scene before it again."""
        if not self._doubted or seen is self._doubted[0]:
            return False
        before, first = self._past[-1], self._doubted[0]
        return seen.difference(before) < FLASH * first.difference(before)

    def _decide(self) -> list[Chunk]:
        """Let the doubted frames go, the first of them marked where it begins a scene."""
        if not self._doubted:
            return []
        starts = self._stands_out() and not self._is_back(self._doubted[-1])
        chunks = [seen.chunk for seen in self._doubted]
        self._past.extend(self._doubted)
        self._doubted = []
        return [_marked(chunks[0], {0} if starts else set()), *chunks[1:]]

    def _stands_out(self) -> bool:
        """Whether the doubted frame's change is abrupt next to those before and behind it."""
        first, *behind = self._doubted
        around = [seen.change.difference for seen in (*list(self._past)[1:], *behind)]
        return first.change.difference >= STANDS_OUT * max(around, default=0.0)


def reduce_frames(frames: torch.Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(T, h, w, 3), 8 bit, the longer side at most ``REDUCED``."""
    height, width = frames.shape[-2:]
    ratio = min(1.0, REDUCED / max(height, width))
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    small = F.adaptive_avg_pool2d(frames.float(), size).clamp(0, 1).mul(255).round()
    return small.byte().movedim(1, -1).contiguous().cpu().numpy()


def _frame(chunk: Chunk, i: int) -> Chunk:
    return replace(
        chunk,
        frames=chunk.frames[i : i + 1],
        pts=chunk.pts[i : i + 1],
        scene_starts=frozenset({0} if i in chunk.scene_starts else ()),
    )


def _joined(frames: list[Chunk]) -> list[Chunk]:
    """Frames as one chunk."""
    if len(frames) < 2:
        return frames
    return [
        replace(
            frames[0],
            frames=torch.cat([frame.frames for frame in frames]),
            pts=tuple(frame.pts[0] for frame in frames),
            scene_starts=frozenset(i for i, frame in enumerate(frames) if frame.scene_starts),
        )
    ]


def _marked(chunk: Chunk, starts: set[int]) -> Chunk:
    return replace(chunk, scene_starts=chunk.scene_starts | starts) if starts else chunk


def _seconds(time: str) -> Fraction:
    return sum((Fraction(part) * 60**i for i, part in enumerate(time.split(":")[::-1])), Fraction())
