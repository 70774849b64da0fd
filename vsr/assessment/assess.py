"""Assessing a video scene by scene: ``vsr assess``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vsr.assessment.regression import load_assessor
from vsr.assessment.scene import KINDS, SceneAssessment, SceneMeasurements
from vsr.scenes.markers import scene_marker
from vsr.streams import open_reader
from vsr.streams.decode.quantisers import read_quantisers
from vsr.types import Chunk, StreamInfo

NOTABLE = 0.3
"""Severity from which on damage is worth a word."""

WORDS = {
    "coding": "coarsely coded",
    "noise": "noisy",
    "blur": "blurred",
    "enlarged": "enlarged before",
    "combing": "interlaced",
    "banding": "banded",
    "flicker": "flickering",
    "frozen": "repeated frames",
    "exposure": "too dark or clipped",
}
_CHUNK = 8


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What ails a video.

    Attributes:
        source: Its name.
        width: Columns of a frame.
        height: Rows of a frame.
        scenes: Its scenes in order.
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
        """One sentence: the notable kinds of damage, the worst first."""
        found = sorted(KINDS, key=self.severity, reverse=True)
        words = [WORDS[kind] for kind in found if self.severity(kind) >= NOTABLE]
        return ", ".join(words) if words else "nothing notable"

    def to_json(self) -> dict[str, Any]:
        """The assessment as JSON values."""
        means = {kind: round(self.severity(kind), 3) for kind in KINDS}
        return asdict(self) | {"means": means, "summary": self.summary()}


def assess(
    source: str,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
    stop: threading.Event | None = None,
) -> Assessment:
    """Assess a video or a folder of images.

    Args:
        source: As for ``open_reader``.
        start_s: As for ``open_reader``.
        end_s: As for ``open_reader``.
        on_progress: Called with the number of frames so far and in total, None if unknown.
        stop: Set it to end early, with the scenes so far.

    Returns:
        The assessment.

    Raises:
        VSRError: The source cannot be read.
    """
    scenes = _Scenes(_quantisers(source))
    with open_reader(source, start_s=start_s, end_s=end_s, deinterlace="off") as reader:
        marker, done = scene_marker("auto", reader.info), 0
        for chunk in reader.chunks(_CHUNK):
            for decided in marker.push(chunk):
                scenes.add(decided)
            done += len(chunk.pts)
            on_progress(done, reader.info.num_frames)
            if stop is not None and stop.is_set():
                break
        for decided in marker.drain():
            scenes.add(decided)
        return _assessment(source, reader.info, scenes)


def _assessment(source: str, info: StreamInfo, scenes: _Scenes) -> Assessment:
    return Assessment(
        source=source, width=info.width, height=info.height, scenes=tuple(scenes.finish())
    )


def _quantisers(source: str) -> dict[int, float]:
    """Quantisers by pts, of files whose codec tells."""
    if not Path(source).is_file():
        return {}
    found = read_quantisers(source)
    return {frame.pts: frame.qp for frame in found if frame.pts is not None}


class _Scenes:
    """Collects measurements scene by scene."""

    def __init__(self, quantisers: dict[int, float]) -> None:
        self._assessor, self._quantisers = load_assessor(), quantisers
        self._now: SceneMeasurements | None = None
        self._qps: list[float] = []
        self._done: list[SceneAssessment] = []

    def add(self, chunk: Chunk) -> None:
        for i, (frame, pts) in enumerate(zip(chunk.frames, chunk.pts, strict=True)):
            if self._now is None or i in chunk.scene_starts:
                self._end()
                self._now = SceneMeasurements()
            self._now.add(frame, float(Fraction(pts) * chunk.time_base))
            if pts in self._quantisers:
                self._qps.append(self._quantisers[pts])

    def finish(self) -> list[SceneAssessment]:
        self._end()
        return self._done

    def _end(self) -> None:
        if self._now is not None:
            self._done.append(self._now.finish(self._assessor, self._qps))
        self._now, self._qps = None, []
