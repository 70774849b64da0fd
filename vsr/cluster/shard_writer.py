"""Writing the segments of one shard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.error import FFmpegError

from vsr.engine.settings import Settings
from vsr.errors import EncodeError
from vsr.restorer import Restorer
from vsr.resume.checkpoints import is_due
from vsr.resume.journal import ResumePoint
from vsr.scenes.state import MarkerState
from vsr.streams.encode.plan import EncodingPlan
from vsr.streams.encode.segments.encoder import SegmentEncoder
from vsr.streams.names.container import local_name, open_input, reason
from vsr.types import Chunk


class ShardWriter:
    """Encodes the frames of a shard into segments.

    Args:
        plan: How frames become segments.
        folder: Where segments are written.
        size: Rows and columns of the frames.

    Attributes:
        paths: The segments that are whole, in order.
    """

    notes: Sequence[str] = ()
    added_frames = 0

    def __init__(self, plan: EncodingPlan, folder: Path, size: tuple[int, int]) -> None:
        self._encoder = SegmentEncoder(plan, folder, size)
        self.paths: list[Path] = []

    def write(self, chunk: Chunk) -> None:
        """As ``Writer.write``."""
        self._encoder.write(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        """There are none: the driver copies them."""

    def cut(self) -> None:
        """End a segment."""
        self._encoder.cut(self.paths.append)

    def finish(self, *, partial: bool = False) -> str:
        """Wait until all segments are whole."""
        self.cut()
        self._encoder.wait()
        return ""

    def abort(self) -> None:
        """End ffmpeg and remove the segments; never raises."""
        self._encoder.abort()
        for path in self.paths:
            path.unlink(missing_ok=True)


class ShardRecorder:
    """Ends segments where a run of one machine does.

    Args:
        restorer: Restorer of the shard.
        every: Maximum number of frames of a segment.
        cut: Ends a segment.
    """

    num_done = 0

    def __init__(self, restorer: Restorer, *, every: int, cut: Callable[[], None]) -> None:
        self._restorer, self._every, self._cut = restorer, every, cut
        self._starts: deque[bool] = deque()
        self._frames = self._last = 0

    @property
    def _settings(self) -> Settings:
        return self._restorer.settings

    def before_push(self, chunk: Chunk, marks: MarkerState) -> ResumePoint | None:
        """As ``SegmentRecorder.before_push``."""
        self._starts.extend(i in chunk.scene_starts for i in range(len(chunk)))
        return self._point()

    def after_restore(self, chunk: Chunk) -> ResumePoint | None:
        """As ``SegmentRecorder.after_restore``."""
        for _ in chunk.pts:
            self._starts.popleft()
        self._frames += len(chunk)
        return self._point()

    def cut(self, point: ResumePoint) -> None:
        """As ``SegmentRecorder.cut``."""
        self._cut()

    def _point(self) -> ResumePoint | None:
        since = self._frames - self._last
        if not self._starts or not is_due(
            since, self._settings, self._every, starts_scene=self._starts[0]
        ):
            return None
        self._last = self._frames
        return ResumePoint(number=1, frames=self._frames)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Contents of segments: number of frames, and the seconds of the first and the last."""

    frames: int
    first_s: Fraction
    last_s: Fraction


def measure(paths: Sequence[Path]) -> Measured:
    """Count what segments hold.

    Raises:
        EncodeError: One cannot be read, or is empty.
    """
    times: list[Fraction] = []
    for path in paths:
        try:
            with open_input(local_name(str(path)), format="nut") as container:
                video = container.streams.video[0]
                base = video.time_base or Fraction(0)
                times += [p.pts * base for p in container.demux(video) if p.pts is not None]
        except (FFmpegError, OSError, IndexError, ValueError) as error:
            raise EncodeError(f"the segment '{path}' cannot be read ({reason(error)})") from error
    if not times:
        raise EncodeError("a shard was encoded into no frame")
    return Measured(frames=len(times), first_s=min(times), last_s=max(times))
