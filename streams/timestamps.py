"""A pts for every frame: the source's own wherever it has one."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from av import Packet
from av.stream import Stream

FALLBACK_RATE = Fraction(25)
"""Frames per second of a stream that says nothing about time: what ffmpeg takes."""

LEAST_STEP_S = Fraction(1, 1000)
"""Between frames whose times repeat or go back: what Matroska can still tell apart."""

JUMP_BACK_S, JUMP_AHEAD_S = Fraction(1, 2), Fraction(10)
"""From one packet of a stream to its next: beyond, recordings were joined or a clock was reset."""


class Timestamps:
    """Gives frames in presentation order increasing pts.

    Attributes:
        time_base: Seconds per unit of pts.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self.time_base = time_base
        self._step = max(1, round(1 / ((frame_rate or FALLBACK_RATE) * time_base)))
        self._least = max(1, ceil(LEAST_STEP_S / time_base))
        self._last: int | None = None

    def stamp(self, pts: int | None, dts: int | None) -> int:
        """Return the pts to use for the next frame."""
        known = pts if pts is not None else dts
        if known is None:
            known = 0 if self._last is None else self._last + self._step
        elif self._last is not None and known <= self._last:
            # A longer step would push every later frame away from its own pts.
            known = self._last + self._least
        self._last = known
        return known


class Continuity:
    """Lets time go on where the clock of a transport stream jumps, for all streams alike.

    Streams jump one after the other, as they are interleaved: the first to do so says by how much,
    and each takes that over when its own turn comes.
    """

    def __init__(self) -> None:
        self._offset = Fraction(0)
        self._offsets: dict[int, Fraction] = {}
        self._ends: dict[int, tuple[Fraction, Fraction]] = {}

    def mend(self, packet: Packet[Stream]) -> None:
        """Move a packet's times; packets come in the order of the file."""
        if packet.dts is None:
            return
        index, base = packet.stream_index, packet.time_base
        time, duration = packet.dts * base, (packet.duration or 0) * base
        last, length = self._ends.get(index, (time + self._offset, Fraction(0)))
        offset = self._offsets.setdefault(index, self._offset)
        if _is_jump(time + offset - last):
            if _is_jump(time + self._offset - last):
                self._offset = last + length - time
            offset = self._offsets[index] = self._offset
        self._ends[index] = time + offset, duration
        shift = round(offset / base)
        packet.dts += shift
        packet.pts = packet.dts if packet.pts is None else packet.pts + shift


def _is_jump(step: Fraction) -> bool:
    return not -JUMP_BACK_S <= step <= JUMP_AHEAD_S
