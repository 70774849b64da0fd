"""Scene markers: detected cuts, a list in a file, or every N frames.

Nothing propagates from one scene into another: a missed cut leaves ghosts of the old scene,
and a false one deprives the first frames of their past. A marker takes decoded chunks and
returns them with marks; cut detection holds frames back only while it is undecided.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from vsr.errors import ConfigurationError, OpenError
from vsr.scenes import AUTO, OFF
from vsr.scenes.detector import Detector
from vsr.scenes.state import MarkerState, joined, marked, part
from vsr.types import Chunk, StreamInfo


class SceneMarker(Protocol):
    """Marks the first frames of scenes. Used by one thread."""

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Push frames and return the decided ones as one chunk, if any."""
        ...

    def drain(self) -> list[Chunk]:
        """Return the frames still held back at the end of the stream."""
        ...

    @property
    def state(self) -> MarkerState:
        """State from which another marker of this kind can continue."""
        ...

    def resume(self, state: MarkerState, held: list[Chunk]) -> None:
        """Continue from a state, before the first push; ``held`` are its undecided frames."""
        ...


def scene_marker(asked: str, info: StreamInfo) -> SceneMarker:
    """Create the scene marker for a value of ``--scenes``.

    Args:
        asked: ``auto``, ``off``, ``every N`` or the name of a file, see ``ListedScenes``.
        info: Description of the stream.

    Raises:
        ConfigurationError: Another value, or a file that cannot be read.
    """
    if asked == AUTO:
        return Detector()
    if asked == OFF:
        return ListedScenes(numbers=frozenset(), times=())
    every = re.fullmatch(r"every[ =:]?([1-9]\d*)", asked)
    if every:
        return EveryFrames(int(every[1]))
    return read_list(Path(asked), info)


class EveryFrames:
    """Scenes of a fixed number of frames.

    Args:
        num_frames: Frames per scene.
    """

    def __init__(self, num_frames: int) -> None:
        self._num_frames, self._seen = num_frames, 0

    def push(self, chunk: Chunk) -> list[Chunk]:
        starts = {i for i in range(len(chunk)) if (self._seen + i) % self._num_frames == 0}
        self._seen += len(chunk)
        return [marked(chunk, starts)]

    def drain(self) -> list[Chunk]:
        return []

    @property
    def state(self) -> MarkerState:
        return MarkerState(seen=self._seen)

    def resume(self, state: MarkerState, held: list[Chunk]) -> None:
        self._seen = state.seen


class ListedScenes:
    """Scenes from a list.

    Args:
        numbers: Numbers of the frames that start scenes, counted from the first restored one.
        times: Seconds of pts; the first frame at or after each starts a scene.
    """

    def __init__(self, *, numbers: frozenset[int], times: Sequence[Fraction]) -> None:
        self._numbers, self._times = numbers, sorted(times)
        self._seen = self._passed = 0

    def push(self, chunk: Chunk) -> list[Chunk]:
        starts = {i for i in range(len(chunk)) if self._seen + i in self._numbers}
        self._seen += len(chunk)
        for i, pts in enumerate(chunk.pts):
            time = pts * chunk.time_base
            while self._passed < len(self._times) and time >= self._times[self._passed]:
                self._passed += 1
                starts.add(i)
        return [marked(chunk, starts)]

    def drain(self) -> list[Chunk]:
        return []

    @property
    def state(self) -> MarkerState:
        return MarkerState(seen=self._seen, passed=self._passed)

    def resume(self, state: MarkerState, held: list[Chunk]) -> None:
        self._seen, self._passed = state.seen, state.passed


class ResumedMarker:
    """A marker that continues from the state of an earlier run.

    Frames decided by the earlier run keep their marks; undecided ones are passed
    to the marker again.

    Args:
        marker: A new marker of the same kind.
        state: State of the earlier marker.
    """

    def __init__(self, marker: SceneMarker, state: MarkerState) -> None:
        self._marker, self._state = marker, state
        self._known = deque(state.known)
        self._held: list[Chunk] = []
        self._going_on = False
        self._go_on_when_complete()

    def push(self, chunk: Chunk) -> list[Chunk]:
        num_known = min(len(self._known), len(chunk))
        left = [self._mark(part(chunk, 0, num_known))] if num_known else []
        chunk = part(chunk, num_known, len(chunk))
        if not self._going_on:
            missing = len(self._state.doubted) - sum(map(len, self._held))
            self._held += [part(chunk, 0, missing)]
            chunk = part(chunk, missing, len(chunk))
            self._go_on_when_complete()
        return joined(left + self._marker.push(chunk)) if len(chunk) else left

    def drain(self) -> list[Chunk]:
        if not self._going_on:
            raise OpenError("the source ends earlier than it did before it was interrupted")
        return self._marker.drain()

    @property
    def state(self) -> MarkerState:
        if self._going_on:
            return self._marker.state
        return replace(self._state, known=tuple(self._known))

    def resume(self, state: MarkerState, held: list[Chunk]) -> None:
        self._marker.resume(state, held)

    def _mark(self, chunk: Chunk) -> Chunk:
        known = [self._known.popleft() for _ in chunk.pts]
        if [frame.pts for frame in known] != list(chunk.pts):
            raise OpenError(
                f"the source has a frame at {chunk.pts[0]}, which was at {known[0].pts} before the "
                "interruption; start again with --overwrite"
            )
        starts = frozenset(i for i, frame in enumerate(known) if frame.starts)
        return replace(chunk, scene_starts=starts)

    def _go_on_when_complete(self) -> None:
        if not self._known and sum(map(len, self._held)) == len(self._state.doubted):
            self._marker.resume(self._state, self._held)
            self._going_on, self._held = True, []


def read_list(path: Path, info: StreamInfo) -> ListedScenes:
    """Read scenes from a text file, one start per line.

    A whole number counts frames from the first that is restored; ``12.5`` and ``0:12.5`` are times
    after the first frame of the source. Empty lines and text after a ``#`` are skipped.
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
    return ListedScenes(numbers=frozenset(numbers), times=times)


def _seconds(time: str) -> Fraction:
    return sum((Fraction(part) * 60**i for i, part in enumerate(time.split(":")[::-1])), Fraction())
