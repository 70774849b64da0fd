"""Resume checkpoints: saved between two steps, at cuts and at most every N frames."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Protocol

from vsr.engine.parallel_scenes import ParallelScenes
from vsr.engine.settings import Settings
from vsr.restorer import Restorer
from vsr.resume.journal import Journal, ResumePoint
from vsr.scenes.state import DecidedMark, MarkerState, save_marks
from vsr.streams.names.durable import Commit
from vsr.types import Chunk

SHARE = 5
"""A segment ends at a cut once it has this share of the most frames: two seconds of ten."""


def is_due(since: int, settings: Settings, every: int, *, starts_scene: bool) -> bool:
    """Whether a segment ends between two steps.

    Segments depend on nothing but the scenes and the step sizes: frames from a cut at which a
    segment began give the same segments on any machine.

    Args:
        since: Frames of the segment so far.
        settings: Step sizes.
        every: Maximum number of frames; a step is never divided.
        starts_scene: Whether the next frame starts a scene.
    """
    if not since:
        return False
    return since + settings.chunk > every or (starts_scene and since >= every / SHARE)


class SegmentSink(Protocol):
    """A writer whose output can be cut into segments."""

    def cut(self, commit: Commit) -> None:
        """End a segment; ``commit`` is called, in any thread, once it is on the disk."""
        ...


class SegmentRecorder(Protocol):
    """Decides where segments end while frames pass through a restorer; used by the pipeline."""

    @property
    def num_done(self) -> int:
        """Frames restored by an earlier run."""
        ...

    def before_push(self, chunk: Chunk, marks: MarkerState) -> ResumePoint | None:
        """Note frames before they are pushed; a point if a segment ends before them."""
        ...

    def after_restore(self, chunk: Chunk) -> ResumePoint | None:
        """Note restored frames; a point if a segment ends after them."""
        ...

    def cut(self, point: ResumePoint) -> None:
        """End a segment at a point whose frames have all been written."""
        ...


class CheckpointRecorder:
    """Saves resume points while frames pass through a restorer.

    The restorer's state is saved without its waiting frames, which are large: they are read
    again, and their scene marks are saved instead.

    Args:
        journal: Journal that records the resume points.
        sink: Writer of the restored frames.
        restorer: Restorer of the frames.
        every: Maximum number of frames between two points; a step is never divided.

    Attributes:
        num_done: Frames restored by an earlier run.
        frames: Total number of restored frames.
    """

    def __init__(
        self,
        journal: Journal,
        sink: SegmentSink,
        restorer: Restorer | ParallelScenes,
        *,
        every: int,
    ) -> None:
        self._journal, self._sink, self._restorer, self._every = journal, sink, restorer, every
        self._waiting: deque[DecidedMark] = deque()
        self._marks = MarkerState()
        self.num_done = self.frames = self._last = journal.passed.frames
        self._number = journal.points[-1].number if journal.points else 0

    def before_push(self, chunk: Chunk, marks: MarkerState) -> ResumePoint | None:
        """Note frames before they are pushed.

        Args:
            chunk: Frames to be pushed.
            marks: State of the scene marker after these frames.

        Returns:
            A resume point before them, if one is due.
        """
        self._waiting.extend(
            DecidedMark(pts=pts, starts=i in chunk.scene_starts) for i, pts in enumerate(chunk.pts)
        )
        self._marks = marks
        return self._point()

    def after_restore(self, chunk: Chunk) -> ResumePoint | None:
        """Note restored frames; returns a resume point after them, if one is due."""
        for _ in chunk.pts:
            self._waiting.popleft()
        self.frames += len(chunk)
        return self._point()

    def cut(self, point: ResumePoint) -> None:
        """End a segment at a resume point whose frames have all been written."""

        def commit(segment: str, packets: int) -> None:
            self._journal.append(replace(point, segment=segment, packets=packets))

        self._sink.cut(lambda path, packets: commit(path.name if path else "", packets))

    def _point(self) -> ResumePoint | None:
        # The next frame must exist: a segment cannot be empty.
        if not self._waiting:
            return None
        since, starts = self.frames - self._last, self._waiting[0].starts
        if not is_due(since, self._restorer.settings, self._every, starts_scene=starts):
            return None
        saves = isinstance(self._restorer, Restorer)
        if not (saves or starts):
            return None
        self._number, self._last = self._number + 1, self.frames
        marks, state = (f"{kind}-{self._number:06}.safetensors" for kind in ("marks", "state"))
        known = (*self._waiting, *self._marks.known)
        save_marks(self._journal.path(marks), replace(self._marks, known=known))
        if isinstance(self._restorer, Restorer):
            self._restorer.save(self._journal.path(state), waiting=False)
        return ResumePoint(
            number=self._number, frames=self.frames, marks=marks, state=state if saves else ""
        )
