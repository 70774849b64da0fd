"""Sound that waits for the frames of its time."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

from av import Packet
from av.stream import Stream

from vsr.live.timing.clock import Clock

MOST = 500
"""Packets that may wait; then the oldest are left out."""


class PendingAudio:
    """Packets in the order they came. Used by one thread."""

    def __init__(self) -> None:
        self._packets: deque[Packet[Stream]] = deque(maxlen=MOST)

    def add(self, packet: Packet[Stream]) -> None:
        """Append a packet; it has a dts.

        Where times go back, what still waits is from before: its frames do not come any more, and
        in the middle of those that come it would take the place of their own sound.
        """
        if self._packets and goes_back(packet, self._packets[-1]):
            self.forget()
        self._packets.append(packet)

    def forget(self) -> None:
        """Drop what waits: the frames of its time do not come any more."""
        self._packets.clear()

    def placed(self, clock: Clock) -> Iterator[tuple[Packet[Stream], Fraction]]:
        """Take the packets whose time in the output is known, each with it, in seconds.

        Those in front of one are dropped: the picture went past them.
        """
        while (passed := self._passed(clock)) is not None:
            for _ in range(passed):
                self._packets.popleft()
            packet = self._packets.popleft()
            moment = clock.sound(_time(packet))
            assert moment is not None
            yield packet, moment

    def _passed(self, clock: Clock) -> int | None:
        """How many packets lie before the first that has a place; None where none has."""
        found = []
        for start, end in clock.near():
            place = bisect_left(self._packets, start, key=_time)
            if place < len(self._packets) and _time(self._packets[place]) <= end:
                found.append(place)
        return min(found, default=None)


def goes_back(packet: Packet[Stream], last: Packet[Stream]) -> bool:
    """Whether a packet's time lies before that of the one that came last."""
    return _time(packet) < _time(last)


def _time(packet: Packet[Stream]) -> Fraction:
    """Seconds at the source."""
    stamp = packet.pts if packet.pts is not None else packet.dts or 0
    return stamp * packet.time_base
