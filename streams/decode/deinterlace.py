"""Deinterlacing by ffmpeg's bwdif, one frame for one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av import VideoFrame
from av.error import BlockingIOError as NotYetError
from av.filter import Graph

from vsr.streams.decode.demuxer import StampedFrame

_Layout = tuple[str, int, int]

HALVES = 2
"""bwdif counts in fields: its pts are twice the frames'."""


HELD_BACK = 1
"""Frames that the filter holds back: it looks at the one behind."""


class Deinterlacer:
    """Passes progressive frames on, and frames marked as interlaced through bwdif, one for one.

    Args:
        time_base: Of the frames' pts.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._filter: _Filter | None = None

    @property
    def held_back(self) -> int:
        """Frames held back from now on: the first interlaced one starts the filter."""
        return 0 if self._filter is None else HELD_BACK

    def push(self, stamped: StampedFrame) -> list[StampedFrame]:
        """Take a frame, in presentation order, and return those that can leave, with their pts."""
        ready: list[StampedFrame] = []
        if self._filter is not None and self._filter.layout != _layout(stamped.frame):
            ready = self.drain()
        if self._filter is None and stamped.frame.interlaced_frame:
            self._filter = _Filter(stamped.frame, self._time_base)
        return ready + ([stamped] if self._filter is None else self._filter.push(stamped))

    def drain(self) -> list[StampedFrame]:
        """Return the frames that were held back; the next interlaced one begins anew."""
        ready = [] if self._filter is None else self._filter.drain()
        self._filter = None
        return ready


def deinterlace(frames: Iterable[StampedFrame], time_base: Fraction) -> Iterator[StampedFrame]:
    """Yield frames, in presentation order, through a ``Deinterlacer``."""
    deinterlacer = Deinterlacer(time_base)
    for stamped in frames:
        yield from deinterlacer.push(stamped)
    yield from deinterlacer.drain()


class _Filter:
    """A filter graph for frames of one layout; progressive ones come out as they went in."""

    def __init__(self, frame: VideoFrame, time_base: Fraction) -> None:
        self.layout = _layout(frame)
        self._time_base = time_base
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        bwdif = self._graph.add("bwdif", mode="send_frame", parity="auto", deint="interlaced")
        self._graph.link_nodes(source, bwdif, self._graph.add("buffersink")).configure()

    def push(self, stamped: StampedFrame) -> list[StampedFrame]:
        stamped.frame.pts, stamped.frame.time_base = stamped.pts, self._time_base
        self._graph.vpush(stamped.frame)
        return self._pull()

    def drain(self) -> list[StampedFrame]:
        self._graph.vpush(None)
        return self._pull()

    def _pull(self) -> list[StampedFrame]:
        ready: list[StampedFrame] = []
        while True:
            try:
                frame = self._graph.vpull()
            except (NotYetError, EOFError):
                return ready
            ready.append(StampedFrame(frame, (frame.pts or 0) // HALVES))


def _layout(frame: VideoFrame) -> _Layout:
    return frame.format.name, frame.height, frame.width
