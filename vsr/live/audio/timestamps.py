"""Times of packets of sound: a hole, or one time that is false."""

from __future__ import annotations

from fractions import Fraction
from typing import TypeAlias

from av import Packet
from av.stream import Stream

from vsr.live.audio.transcoder import HOLE

Placed: TypeAlias = "tuple[Packet[Stream], Fraction]"
"""A packet and its time in seconds."""


class AudioTimestamps:
    """Holds a packet that does not follow the one before until the next one has come.

    Where that goes on as if the packet had followed, its time was false and it gets its place. Used
    by one thread.
    """

    def __init__(self) -> None:
        self._expected: Fraction | None = None
        self._held: tuple[Packet[Stream], Fraction, Fraction] | None = None

    def place(self, packet: Packet[Stream], time: Fraction, seconds: Fraction) -> list[Placed]:
        """The packets whose times are known by now.

        Args:
            packet: The next one.
            time: What it says, in seconds.
            seconds: How long it sounds.
        """
        placed = self._decide(time)
        if self._expected is not None and not _is_near(time, self._expected):
            self._held = packet, time, seconds
            return placed
        self._expected = time + seconds
        return [*placed, (packet, time)]

    def last(self) -> list[Placed]:
        """The packet that is held, at its own time: none follows that could tell."""
        return self._decide(None)

    def _decide(self, following: Fraction | None) -> list[Placed]:
        """Where the packet that is held belongs, by the time that follows it."""
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
