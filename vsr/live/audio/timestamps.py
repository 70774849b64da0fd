"""Audio timestamps: telling gaps from single wrong timestamps."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias

from av import Packet
from av.stream import Stream

from vsr.live.audio.transcoder import HOLE

Placed: TypeAlias = "tuple[Packet[Stream], Fraction]"
"""A packet and its time in seconds."""


class AudioTimestamps:
    """Holds a packet that does not follow its predecessor until the next one arrives.

    If the next one continues from the predecessor, the timestamp was wrong and is corrected. Used
    by one thread.
    """

    def __init__(self) -> None:
        self._expected: Fraction | None = None
        self._held: tuple[Packet[Stream], Fraction, Fraction] | None = None

    def place(self, packet: Packet[Stream], time: Fraction, seconds: Fraction) -> list[Placed]:
        """Add a packet and return the packets whose times are decided.

        Args:
            packet: The next packet.
            time: Timestamp of the packet in seconds.
            seconds: Duration of the packet.
        """
        placed = self._decide(time)
        if self._expected is not None and not _is_near(time, self._expected):
            self._held = packet, time, seconds
            return placed
        self._expected = time + seconds
        return [*placed, (packet, time)]

    def last(self) -> list[Placed]:
        """The held packet at its own time, when no packet follows."""
        return self._decide(None)

    def _decide(self, following: Fraction | None) -> list[Placed]:
        """Decide the time of the held packet by the packet after it."""
        if self._held is None:
            return []
        packet, time, seconds = self._held
        self._held = None
        if following is not None and self._expected is not None:
            is_false = _is_near(following, self._expected + seconds)
            time = self._expected if is_false else time
        self._expected = time + seconds
        return [(packet, time)]


def _is_near(time: Fraction, expected: Fraction) -> bool:
    return abs(time - expected) < HOLE
