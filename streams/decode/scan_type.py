"""Scan type of a video, found in its pictures: progressive, interlaced, or telecined film.

Flags say little: film on DVDs is flagged as interlaced, and captured tapes are not. ffmpeg's idet
compares the fields of neighbouring frames; what it finds in a window of frames decides.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from av import VideoFrame
from av.error import BlockingIOError as NotYetError
from av.filter import Graph

from vsr.streams.decode.demuxer import StampedFrame

Layout = tuple[str, int, int]

WINDOW = 40
"""Frames that are held until the scan type is known, and that it is decided by from then on."""

HELD_BYTES = 256 << 20
"""Frames are held up to this size; 4K at 10 bits is decided after ten."""

AHEAD = 4
"""Frames held afterwards: a change is noticed so many frames before it shows."""

CERTAIN = 8
"""Frames found progressive, none interlaced, that settle the matter before the window is full."""

FEWEST = 3
"""Frames found interlaced, at least, for a source to be so."""

INTERLACED_RATIO, PROGRESSIVE_RATIO = 1.3, 1.5
"""idet's thresholds. With its default of 1.04 generated pictures with thin lines pass for
interlaced, with 1.2 a few, with 1.3 none of 16 clips; of 30 frames of three clips of footage that
was interlaced by ffmpeg 9, 28 and 30 were found, and none was progressive."""

REPEATED = Fraction(1, 10)
"""Share of the frames whose top field repeats the last one, and of those whose bottom field does:
a fifth each in 3:2 telecine."""

_PLANAR = ("yuv4", "yuvj4", "yuva4", "gray")
"""Beginnings of the names of the pixel formats that idet takes as they are."""


class ScanType(Enum):
    """Whether a source is progressive, interlaced or telecined."""

    PROGRESSIVE = "progressive"
    INTERLACED = "interlaced"
    TELECINED = "telecined"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Facts about the scan of a frame.

    Attributes:
        type: Scan type of the frame.
        top_first: Whether the top field is the earlier one; None where that is not known.
    """

    type: ScanType
    top_first: bool | None = None


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """idet's result for one frame."""

    kind: str
    repeated: str


class ScanDetector:
    """Decides the scan type of each frame of a stream from the frames around it.

    Args:
        time_base: Time base of the frames' pts.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._scan = Scan(type=ScanType.PROGRESSIVE)
        self._found: deque[_Finding] = deque(maxlen=WINDOW)
        self._held: deque[StampedFrame] = deque()
        self._held_bytes = 0
        self._decided = False
        self._idet: _Idet | None = None

    def detect(self, frames: Iterable[StampedFrame]) -> Iterator[tuple[StampedFrame, Scan]]:
        """Yield frames, in presentation order, each with its scan."""
        for stamped in frames:
            self._take(stamped)
            if not self._decided and not self._can_decide():
                continue
            self._decided = True
            yield from self._release(AHEAD)
        self._found += [] if self._idet is None else self._idet.drain()
        yield from self._release(0)

    def _take(self, stamped: StampedFrame) -> None:
        frame = stamped.frame
        self._held.append(stamped)
        self._held_bytes += 0 if self._decided else _size(frame)
        if self._idet is not None and self._idet.layout != layout_of(frame):
            self._found += self._idet.drain()
            self._idet = None
        if self._idet is None and frame.format.name.startswith(_PLANAR):
            self._idet = _Idet(frame, self._time_base)
        if self._idet is not None:
            self._found += self._idet.push(stamped)

    def _can_decide(self) -> bool:
        kinds = Counter(finding.kind for finding in self._found)
        settled = kinds["progressive"] >= CERTAIN and not kinds["tff"] + kinds["bff"]
        full = len(self._held) >= WINDOW or self._held_bytes >= HELD_BYTES
        return settled or full or self._idet is None

    def _release(self, keep: int) -> Iterator[tuple[StampedFrame, Scan]]:
        self._scan = _decide(self._found, self._scan)
        while len(self._held) > keep:
            yield self._held.popleft(), self._scan


def _decide(found: Iterable[_Finding], before: Scan) -> Scan:
    """The scan of a window of frames; the previous one where they are undecided."""
    findings = list(found)
    kinds = Counter(finding.kind for finding in findings)
    interlaced, other = max(kinds["tff"], kinds["bff"]), min(kinds["tff"], kinds["bff"])
    top_first = kinds["tff"] >= kinds["bff"]
    repeats = Counter(finding.repeated for finding in findings)
    enough = REPEATED * len(findings)
    if interlaced >= FEWEST and min(repeats["top"], repeats["bottom"]) > enough:
        return Scan(type=ScanType.TELECINED, top_first=top_first)
    # The order of fields does not change from frame to frame: where it seems to, neither is true.
    if interlaced >= FEWEST and interlaced > kinds["progressive"] + FEWEST * other:
        return Scan(type=ScanType.INTERLACED, top_first=top_first)
    if kinds["progressive"] >= CERTAIN or before.type is ScanType.PROGRESSIVE:
        return Scan(type=ScanType.PROGRESSIVE)
    return before


class _Idet:
    """ffmpeg's idet for frames of one layout; it is one frame behind."""

    def __init__(self, frame: VideoFrame, time_base: Fraction) -> None:
        self.layout = layout_of(frame)
        self._time_base = time_base
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        idet = self._graph.add(
            "idet", intl_thres=str(INTERLACED_RATIO), prog_thres=str(PROGRESSIVE_RATIO)
        )
        self._graph.link_nodes(source, idet, self._graph.add("buffersink")).configure()

    def push(self, stamped: StampedFrame) -> list[_Finding]:
        stamped.frame.pts, stamped.frame.time_base = stamped.pts, self._time_base
        self._graph.vpush(stamped.frame)
        return self._pull()

    def drain(self) -> list[_Finding]:
        self._graph.vpush(None)
        return self._pull()

    def _pull(self) -> list[_Finding]:
        found: list[_Finding] = []
        while True:
            try:
                metadata = self._graph.vpull().metadata
            except (NotYetError, EOFError):
                return found
            found.append(
                _Finding(
                    kind=metadata.get("lavfi.idet.single.current_frame", ""),
                    repeated=metadata.get("lavfi.idet.repeated.current_frame", ""),
                )
            )


def layout_of(frame: VideoFrame) -> Layout:
    """Properties of a frame that a filter graph is made for."""
    return frame.format.name, frame.height, frame.width


def _size(frame: VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)
