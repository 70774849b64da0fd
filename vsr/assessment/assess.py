"""Assessing a video scene by scene: ``vsr assess``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.address import names_file
from vsr.assessment.regression import WEIGHTS, Assessor, load_assessor
from vsr.assessment.scene import KINDS, SceneAssessment, SceneMeasurements, WorstWindow
from vsr.results import Progress
from vsr.scenes import AUTO
from vsr.scenes.markers import scene_marker
from vsr.stoppable import iterate_until_stopped, open_until_stopped
from vsr.streams import open_reader
from vsr.streams.decode.own_coding import keeps_detail
from vsr.streams.decode.quantisers import read_quantisers
from vsr.types import Chunk, StreamInfo

NOTABLE = 0.3
"""Severity from which on damage is worth a word."""

SURE = 0.3
"""Confidence under which a finding is worth none."""

WORDS = {
    "coding": "coarsely coded",
    "noise": "noisy",
    "colour_noise": "noisy in its colours",
    "blur": "blurred",
    "enlarged": "enlarged before",
    "combing": "interlaced",
    "telecine": "film in interlaced video",
    "banding": "banded",
    "flicker": "flickering",
    "frozen": "repeated frames",
    "exposure": "too dark or clipped",
}
_CHUNK = 8


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """Degradations found in a video.

    Attributes:
        source: Name of the video.
        width: Columns of a frame; 0 where none was read.
        height: Rows of a frame; 0 where none was read.
        scenes: Scenes in order.
    """

    source: str
    width: int
    height: int
    scenes: tuple[SceneAssessment, ...]

    def severity(self, kind: str) -> float:
        """Mean severity of a kind of damage, weighted by the length of scenes."""
        frames = sum(scene.frames for scene in self.scenes)
        return sum(s.findings[kind].severity * s.frames for s in self.scenes) / max(1, frames)

    def summary(self) -> str:
        """One sentence: the notable kinds of damage that are sure enough, the worst first."""
        found = sorted(KINDS, key=self._sure_severity, reverse=True)
        words = [WORDS[kind] for kind in found if self._sure_severity(kind) >= NOTABLE]
        return ", ".join(words) if words else "nothing notable"

    def _sure_severity(self, kind: str) -> float:
        """As ``severity``; findings that are not sure enough count as 0."""
        frames = sum(scene.frames for scene in self.scenes)
        sure = [s for s in self.scenes if s.findings[kind].confidence >= SURE]
        return sum(s.findings[kind].severity * s.frames for s in sure) / max(1, frames)

    def to_json(self) -> dict[str, Any]:
        """The assessment as JSON values."""
        means = {kind: round(self.severity(kind), 3) for kind in KINDS}
        return asdict(self) | {"means": means, "summary": self.summary()}


def assess(
    source: str,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    frame_rate: Fraction | None = None,
    scenes: str = AUTO,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_worst: Callable[[SceneAssessment, WorstWindow], None] | None = None,
    assessor: Path = WEIGHTS,
    stop: threading.Event | None = None,
) -> Assessment:
    """Assess a video or a folder of images.

    Args:
        source: See ``open_reader``.
        start_s: See ``open_reader``.
        end_s: See ``open_reader``.
        frame_rate: See ``open_reader``.
        scenes: See ``scene_marker``.
        on_progress: Called after every chunk.
        on_worst: Called at the end of every measured scene, with the window that looks worst.
        assessor: Weights that ``vsr train configs/assess.toml`` has written.
        stop: Set it to end early, with the scenes so far.

    Returns:
        The assessment, without a scene where it was stopped before the first frame.

    Raises:
        VSRError: The source or the weights cannot be read.
    """
    began, done = time.monotonic(), 0
    found = _Scenes(load_assessor(assessor), _Quantisers(source, start_s or 0), on_worst)
    opened = open_until_stopped(
        lambda: open_reader(
            source,
            start_s=start_s,
            end_s=end_s,
            frame_rate=frame_rate,
            deinterlace="off",
            keep_start=True,
        ),
        stop,
    )
    if opened is None:
        return Assessment(source=source, width=0, height=0, scenes=())
    with opened as reader:
        found.keeps_detail = keeps_detail(source, reader.info)
        marker = scene_marker(scenes, reader.info)
        for chunk in iterate_until_stopped(reader.chunks(_CHUNK), stop):
            for decided in marker.push(chunk):
                found.add(decided)
            done += len(chunk.pts)
            seconds = time.monotonic() - began
            on_progress(_progress(done, reader.info, seconds))
        for decided in marker.drain():
            found.add(decided)
        return _assessment(source, reader.info, found)


def _progress(done: int, info: StreamInfo, seconds: float) -> Progress:
    return Progress(frames=done, total=info.num_frames, seconds=seconds, doing="assessing")


def _assessment(source: str, info: StreamInfo, scenes: _Scenes) -> Assessment:
    return Assessment(
        source=source, width=info.width, height=info.height, scenes=tuple(scenes.finish())
    )


class _Quantisers:
    """Quantisers of a file's frames, read on demand; none of other sources."""

    def __init__(self, source: str, start_s: float) -> None:
        is_file = names_file(source)
        self._frames = read_quantisers(source, start_s=start_s) if is_file else iter(())
        self._next = next(self._frames, None)

    def at(self, pts: int) -> float | None:
        """The quantiser of a frame; frames are asked for in order."""
        while self._next is not None and (self._next.pts is None or self._next.pts < pts):
            self._next = next(self._frames, None)
        return self._next.qp if self._next is not None and self._next.pts == pts else None


class _Scenes:
    """Collects measurements scene by scene."""

    def __init__(
        self,
        assessor: Assessor,
        quantisers: _Quantisers,
        on_worst: Callable[[SceneAssessment, WorstWindow], None] | None,
    ) -> None:
        self._assessor, self._quantisers = assessor, quantisers
        self._on_worst = on_worst
        self.keeps_detail = False
        self._now: SceneMeasurements | None = None
        self._qps: list[float] = []
        self._done: list[SceneAssessment] = []

    def add(self, chunk: Chunk) -> None:
        for i, (frame, pts) in enumerate(zip(chunk.frames, chunk.pts, strict=True)):
            if self._now is None or i in chunk.scene_starts:
                self._end()
                self._now = SceneMeasurements(
                    self._assessor,
                    keeps_detail=self.keeps_detail,
                    shown=None if self._on_worst is None else [],
                )
            self._now.add(frame, float(Fraction(pts) * chunk.time_base))
            if (qp := self._quantisers.at(pts)) is not None:
                self._qps.append(qp)

    def finish(self) -> list[SceneAssessment]:
        self._end()
        return self._done

    def _end(self) -> None:
        if self._now is not None:
            self._done.append(self._now.finish(self._qps))
            worst = self._now.worst_window()
            if self._on_worst is not None and worst is not None:
                self._on_worst(self._done[-1], worst)
        self._now, self._qps = None, []
