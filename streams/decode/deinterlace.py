"""Deinterlacing by ffmpeg's bwdif, and inverse telecine by its fieldmatch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Literal, get_args

from av import VideoFrame
from av.error import BlockingIOError as NotYetError
from av.filter import Graph

from vsr.errors import ConfigurationError
from vsr.streams.decode.demuxer import StampedFrame
from vsr.streams.decode.scan_type import Scan, ScanDetector, ScanType, layout_of

Mode = Literal["auto", "off", "frame", "field"]
"""``auto`` deinterlaces what turns out to be interlaced, one frame for one; ``frame`` all that
comes, likewise; ``field`` makes a frame of each field, twice as many."""

MODES: tuple[Mode, ...] = get_args(Mode)

HALVES = 2
"""bwdif counts in fields: its pts are twice the frames'."""

HELD_BACK = 1
"""Frames that the filter holds back: it looks at the one behind."""

_Chain = tuple[tuple[str, dict[str, str]], ...]

_FLAGGED: _Chain = (("bwdif", {"mode": "send_frame", "parity": "auto", "deint": "interlaced"}),)


def check_mode(mode: str) -> None:
    """Refuse a mode that does not exist.

    Raises:
        ConfigurationError: It is not in ``MODES``.
    """
    if mode not in MODES:
        raise ConfigurationError(f"deinterlacing {mode!r} is not known; give {', '.join(MODES)}")


def deinterlace(
    frames: Iterable[StampedFrame],
    time_base: Fraction,
    mode: Mode = "auto",
    *,
    scan: Scan | None = None,
    note_scan: Callable[[Scan], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[StampedFrame]:
    """Deinterlace a stream.

    Args:
        frames: In presentation order, with pts in the time base.
        time_base: Seconds per unit of pts.
        mode: One of ``MODES``.
        scan: Scan type of all frames, where that is known; None to look at them.
        note_scan: Called with the scan of each frame.
        say: Called with a sentence about what is done, when that is known and where it changes.

    Yields:
        Frames, in presentation order; with ``field`` their pts are in halves of the time base.
    """
    if mode == "off":
        yield from frames
        return
    filtered: _Filter | None = None
    last_note, begun = "", False
    last_pts, step = None, 1
    known = ScanDetector(time_base).detect(frames) if scan is None else ((f, scan) for f in frames)
    for stamped, found in known:
        note_scan(found)
        step = step if last_pts is None else stamped.pts - last_pts
        last_pts = stamped.pts
        chain = _chain(mode, found)
        if filtered is not None and not filtered.suits(stamped.frame, chain):
            yield from filtered.drain(step)
            filtered = None
        note = _note(mode, found, stamped.frame)
        if note != last_note:
            since = f"from {float(stamped.pts * time_base):.2f} s on: " if begun else ""
            say(since + (note or "the source is progressive"))
        last_note, begun = note, True
        if not chain:
            yield stamped
            continue
        filtered = filtered or _Filter(stamped.frame, time_base, chain, fields=mode == "field")
        yield from filtered.push(stamped)
    if filtered is not None:
        yield from filtered.drain(step)


def _chain(mode: Mode, scan: Scan) -> _Chain:
    """Filters for a frame of a scan; none for one that is left unchanged."""
    order = {True: "tff", False: "bff", None: "auto"}[scan.top_first]
    bwdif = {"mode": "send_field" if mode == "field" else "send_frame", "parity": order}
    if mode != "auto":
        return (("bwdif", {**bwdif, "deint": "all"}),)
    if scan.type is ScanType.PROGRESSIVE:
        return ()
    if scan.type is ScanType.TELECINED:
        match = {"order": order, "combmatch": "full"}
        return (("fieldmatch", match), ("bwdif", {**bwdif, "deint": "interlaced"}))
    return (("bwdif", {**bwdif, "deint": "all"}),)


def _note(mode: Mode, scan: Scan, frame: VideoFrame) -> str:
    """A sentence about how a frame is deinterlaced; empty if it is left unchanged, as flagged."""
    if mode == "field":
        return "each field becomes a frame: there are twice as many"
    if mode == "frame":
        return "every two fields become one frame; --deinterlace field keeps the motion of both"
    if scan.type is ScanType.TELECINED:
        return (
            "the source is film in interlaced video (3:2 telecine): its frames are put together "
            "again, and one of five is a repeat"
        )
    if scan.type is ScanType.INTERLACED:
        return (
            "the source is interlaced: every two fields become one frame; --deinterlace field "
            "keeps the motion of both"
        )
    if frame.interlaced_frame:
        return "the source is marked as interlaced, but its pictures are not: they stay as they are"
    return ""


class Deinterlacer:
    """Passes progressive frames on, and frames marked as interlaced through bwdif, one for one.

    For running streams, where no frame can wait until the pictures show what they are.

    Args:
        time_base: Time base of the frames' pts.
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
        if self._filter is not None and not self._filter.suits(stamped.frame, _FLAGGED):
            ready = self.drain()
        if self._filter is None and stamped.frame.interlaced_frame:
            self._filter = _Filter(stamped.frame, self._time_base, _FLAGGED)
        return ready + ([stamped] if self._filter is None else self._filter.push(stamped))

    def drain(self) -> list[StampedFrame]:
        """Return the frames that were held back; the next interlaced one restarts the filter."""
        ready = [] if self._filter is None else self._filter.drain()
        self._filter = None
        return ready


class _Filter:
    """A filter graph for frames of one layout, bwdif being the last in it."""

    def __init__(
        self, frame: VideoFrame, time_base: Fraction, chain: _Chain, *, fields: bool = False
    ) -> None:
        self._layout, self._chain = layout_of(frame), chain
        self._time_base = time_base
        self._divisor = 1 if fields else HALVES
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        filters = [self._graph.add(name, **options) for name, options in chain]
        self._graph.link_nodes(source, *filters, self._graph.add("buffersink")).configure()

    def suits(self, frame: VideoFrame, chain: _Chain) -> bool:
        """Whether a frame can go through these filters."""
        return self._layout == layout_of(frame) and self._chain == chain

    def push(self, stamped: StampedFrame) -> list[StampedFrame]:
        stamped.frame.pts, stamped.frame.time_base = stamped.pts, self._time_base
        self._graph.vpush(stamped.frame)
        return self._pull()

    def drain(self, step: int = 1) -> list[StampedFrame]:
        """The frames held back, the last of which lasts this long; the filter is of no more use."""
        self._graph.vpush(None)
        ready = self._pull()
        if len(ready) == 2 and ready[0].pts == ready[1].pts:
            # The filter tells the time between two fields by that between two frames.
            ready[1] = StampedFrame(ready[1].frame, ready[0].pts + step)
        return ready

    def _pull(self) -> list[StampedFrame]:
        ready: list[StampedFrame] = []
        while True:
            try:
                frame = self._graph.vpull()
            except (NotYetError, EOFError):
                return ready
            ready.append(StampedFrame(frame, (frame.pts or 0) // self._divisor))
