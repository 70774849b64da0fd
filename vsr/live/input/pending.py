"""Audio packets waiting for the output time of their frames."""

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
    """Packets in order of arrival. Used by one thread."""

    def __init__(self) -> None:
        self._packets: deque[Packet[Stream]] = deque(maxlen=MOST)

    def add(self, packet: Packet[Stream]) -> None:
        """Append a packet, which must have a dts.

        After a jump back in time, waiting packets are dropped: their frames will not come, and
        they would replace the audio of later frames.
        """
        if self._packets and goes_back(packet, self._packets[-1]):
            self.forget()
        self._packets.append(packet)

    def forget(self) -> None:
        """Drop waiting packets whose frames will not come."""
        self._packets.clear()

    def placed(self, clock: Clock) -> Iterator[tuple[Packet[Stream], Fraction]]:
        """Take the packets whose output time is known, each with this time in seconds.

        Packets before one of these are dropped: the video has passed them.
        """
        while (passed := self._passed(clock)) is not None:
            for _ in range(passed):
                self._packets.popleft()
            packet = self._packets.popleft()
            moment = clock.sound(_time(packet))
            assert moment is not None
            yield packet, moment

    def _passed(self, clock: Clock) -> int | None:
        """Number of packets before the first with an output time; None if there is none."""
        found = []
        for start, end in clock.near():
            place = bisect_left(self._packets, start, key=_time)
            if place < len(self._packets) and _time(self._packets[place]) <= end:
                found.append(place)
        return min(found, default=None)


def goes_back(packet: Packet[Stream], last: Packet[Stream]) -> bool:
    """Whether a packet's time is before that of the last one."""
    return _time(packet) < _time(last)


def _time(packet: Packet[Stream]) -> Fraction:
    """Time at the source in seconds."""
    stamp = packet.pts if packet.pts is not None else packet.dts or 0
    return stamp * packet.time_base
