"""Resume checkpoints: saved between two steps, at most every N frames."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Protocol

from vsr.engine.parallel_scenes import ParallelScenes
from vsr.restorer import Restorer
from vsr.resume.journal import Border, Journal
from vsr.scenes.state import Known, MarkerState, save_marks
from vsr.streams.names.durable import Commit
from vsr.types import Chunk


class Sink(Protocol):
    """What frames end up in."""

    def cut(self, commit: Commit) -> None:
        """Keep what was written; ``commit`` is called, in any thread, once it is kept."""
        ...


class Borders:
    """Follows the frames through a restorer, and saves what is between two of them.

    The restorer's state is kept without the frames that wait in it, which are large: they are read
    again, and what is known of their scenes is kept instead.

    Args:
        journal: Where borders are recorded.
        sink: What the frames end up in.
        restorer: What restores them.
        every: Frames from one border to the next, at most; but a step is never divided.

    Attributes:
        num_done: Frames that an earlier run restored.
        frames: Frames restored in all.
    """

    def __init__(
        self, journal: Journal, sink: Sink, restorer: Restorer | ParallelScenes, *, every: int
    ) -> None:
        self._journal, self._sink, self._restorer, self._every = journal, sink, restorer, every
        self._waiting: deque[Known] = deque()
        self._marks = MarkerState()
        self.num_done = self.frames = self._last = journal.passed.frames
        self._number = journal.borders[-1].number if journal.borders else 0

    def enter(self, chunk: Chunk, marks: MarkerState) -> Border | None:
        """Take note of frames before they are pushed.

        Args:
            chunk: The frames.
            marks: What the marker of scenes knows behind them.

        Returns:
            A border in front of them, if it is time for one.
        """
        self._waiting.extend(
            Known(pts=pts, starts=i in chunk.scene_starts) for i, pts in enumerate(chunk.pts)
        )
        self._marks = marks
        return self._border()

    def leave(self, chunk: Chunk) -> Border | None:
        """Take note of frames that were restored; a border behind them, if it is time for one."""
        for _ in chunk.pts:
            self._waiting.popleft()
        self.frames += len(chunk)
        return self._border()

    def cut(self, border: Border) -> None:
        """End a segment, all frames before the border being written."""

        def commit(segment: str, packets: int) -> None:
            self._journal.append(replace(border, segment=segment, packets=packets))

        self._sink.cut(lambda path, packets: commit(path.name if path else "", packets))

    def _border(self) -> Border | None:
        # The frame behind a border has to be there already: a segment without any cannot be.
        since = self.frames - self._last
        if not since or not self._waiting or since + self._restorer.settings.chunk <= self._every:
            return None
        saves = isinstance(self._restorer, Restorer)
        if not (saves or self._waiting[0].starts):
            return None
        self._number, self._last = self._number + 1, self.frames
        marks, state = (f"{kind}-{self._number:06}.safetensors" for kind in ("marks", "state"))
        known = (*self._waiting, *self._marks.known)
        save_marks(self._journal.path(marks), replace(self._marks, known=known))
        if isinstance(self._restorer, Restorer):
            self._restorer.save(self._journal.path(state), waiting=False)
        return Border(
            number=self._number, frames=self.frames, marks=marks, state=state if saves else ""
        )
