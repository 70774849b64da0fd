"""Interlaced frames into progressive ones, one for one, by ffmpeg's bwdif."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from av import VideoFrame
from av.error import BlockingIOError as NotYetError
from av.filter import Graph

from vsr.streams.demuxer import StampedFrame

_Layout = tuple[str, int, int]

HALVES = 2
"""bwdif counts in fields: its pts are twice the frames'."""


def deinterlace(frames: Iterable[StampedFrame], time_base: Fraction) -> Iterator[StampedFrame]:
    """Pass progressive frames on, and frames marked as interlaced through bwdif.

    Args:
        frames: In presentation order.
        time_base: Of their pts.

    Yields:
        As many frames with the same pts; the first interlaced one starts the filter, which holds
        back one frame from then on.
    """
    weaver: _Filter | None = None
    for stamped in frames:
        if weaver is not None and weaver.layout != _layout(stamped.frame):
            yield from weaver.drain()
            weaver = None
        if weaver is None and stamped.frame.interlaced_frame:
            weaver = _Filter(stamped.frame, time_base)
        if weaver is None:
            yield stamped
        else:
            yield from weaver.push(stamped)
    if weaver is not None:
        yield from weaver.drain()


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
