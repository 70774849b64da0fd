"""Assigning a pts to every frame, the source's own if it has one."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Generic, TypeVar

from av import Packet
from av.stream import Stream

FALLBACK_RATE = Fraction(25)
"""Frames per second of a stream that says nothing about time: what ffmpeg takes."""

LEAST_STEP_S = Fraction(1, 1000)
"""Distance of frames whose times repeat or go back: the least that Matroska can represent."""

FOLLOWING = 6
"""Usual steps within which frames follow each other; a time this many times further away than the
frame behind it is false as well."""

LEAP = Fraction(5, 4)
"""Distance, in usual steps, up to which a time after the previous one is accepted."""

JUMP_BACK_S, JUMP_AHEAD_S = Fraction(1, 2), Fraction(10)
"""Largest distance of a stream's packets: beyond, recordings were joined or a clock was reset."""

MAX_DELAY_S = Fraction(12)
"""Between a packet's decoding and its presentation: 16 frames that are reordered, 0.7 s apart, the
most that transport streams allow (ITU-T H.222.0)."""

MAX_OFFSETS = 8
"""Known at a time: a long recording may be joined of any number."""

Frame = TypeVar("Frame")


class Timestamps(Generic[Frame]):
    """Gives frames in presentation order increasing pts.

    A damaged file may give a frame any time. One that goes back or jumps ahead is replaced where
    the next frame's time follows the previous one's.

    Attributes:
        time_base: Seconds per unit of pts.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self.time_base = time_base
        self._step = max(1, round(1 / ((frame_rate or FALLBACK_RATE) * time_base)))
        self._least = max(1, ceil(LEAST_STEP_S / time_base))
        self._last: int | None = None
        self._last_step = 0
        self._waiting: tuple[Frame, int | None] | None = None

    def stamp(self, frame: Frame, pts: int | None, dts: int | None) -> list[tuple[Frame, int]]:
        """Take the next frame, and return the one before it with its pts, if there is one."""
        known = pts if pts is not None else dts
        ready = self._settle_waiting(known)
        self._waiting = frame, known
        return ready

    def drain(self) -> list[tuple[Frame, int]]:
        """Return the last frame."""
        return self._settle_waiting(None)

    def _settle_waiting(self, following: int | None) -> list[tuple[Frame, int]]:
        if self._waiting is None:
            return []
        (frame, known), self._waiting = self._waiting, None
        if self._last is not None and following is not None:
            step, both = (known or self._last) - self._last, following - self._last
            if self._is_false(step, both):
                known = self._last + max(self._least, both // 2)
        return [(frame, self._settle(known))]

    def _is_false(self, step: int, both: int) -> bool:
        """Whether a pts is an outlier by its distance, and the next one's, from the last."""
        usual = max(self._step, self._last_step)
        if both <= 0 or 0 < step < both or 0 < step <= LEAP * usual:
            return False
        return both <= FOLLOWING * usual or FOLLOWING * both <= step

    def _settle(self, known: int | None) -> int:
        if known is None:
            known = 0 if self._last is None else self._last + self._step
        elif self._last is not None and known <= self._last:
            # A longer step would push every later frame away from its own pts.
            known = self._last + self._least
        self._last_step = known - (known if self._last is None else self._last)
        self._last = known
        return known


class Continuity:
    """Corrects timestamp discontinuities in MPEG-TS, for all streams.

    Streams jump one after the other, as they are interleaved: the first to do so says by how much,
    and each takes that over when its own turn comes.
    """

    def __init__(self) -> None:
        self._known = [Fraction(0)]
        self._clocks: dict[int, _Clock] = {}

    def correct(self, packet: Packet[Stream]) -> None:
        """Move a packet's times; packets come in the order of the file."""
        if packet.dts is None:
            return
        index, base = packet.stream_index, packet.time_base
        clock = self._clocks.setdefault(index, _Clock(self._known[-1]))
        clock.reconcile(packet)
        time, length = packet.dts * base, (packet.duration or 0) * base
        if clock.jumps(time + clock.offset):
            clock.offset = self._find_offset(time, clock)
        clock.note(time + clock.offset, length)
        shift = round(clock.offset / base)
        packet.dts += shift
        packet.pts = packet.dts if packet.pts is None else packet.pts + shift

    def _find_offset(self, time: Fraction, clock: _Clock) -> Fraction:
        """Offset of another stream, or of an earlier part, that fits; else a new one."""
        fitting = [known for known in self._known if not clock.jumps(time + known)]
        offset = min(
            fitting,
            key=lambda known: abs(time + known - clock.following),
            default=clock.following - time,
        )
        others = [known for known in self._known if known != offset]
        self._known = [*others[1 - MAX_OFFSETS :], offset]
        return offset


class _Clock:
    """The times of one stream's packets.

    Attributes:
        offset: Offset added to them.
    """

    def __init__(self, offset: Fraction) -> None:
        self.offset = offset
        self._last: Fraction | None = None
        self._before: Fraction | None = None
        self._length = Fraction(0)

    @property
    def following(self) -> Fraction:
        """Time at which the next packet is due."""
        return (self._last or 0) + self._length

    def jumps(self, time: Fraction) -> bool:
        """Whether a packet is too far from the last, and from the one before: one may be wrong."""
        return _is_jump(time, self._last) and (
            self._before is None or not self._before < time <= self._before + JUMP_AHEAD_S
        )

    def note(self, time: Fraction, length: Fraction) -> None:
        """Record a packet's time and its stated duration."""
        if not _is_jump(time, self._last):
            self._before = self._last
        step = Fraction(0) if self._before is None else time - self._before
        self._length = length or min(self._length or step, step) or self._length
        self._last = time

    def reconcile(self, packet: Packet[Stream]) -> None:
        """Correct the broken one of a packet's pts and dts where they contradict each other."""
        if packet.pts is None or packet.dts is None:
            return
        base = packet.time_base
        if abs(packet.pts - packet.dts) * base <= MAX_DELAY_S:
            return
        if self.jumps(packet.dts * base + self.offset) and not self.jumps(
            packet.pts * base + self.offset
        ):
            packet.dts = round((self.following - self.offset) / base)
        else:
            packet.pts = packet.dts


def _is_jump(time: Fraction, last: Fraction | None) -> bool:
    return last is not None and not -JUMP_BACK_S <= time - last <= JUMP_AHEAD_S
