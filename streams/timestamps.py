"""A pts for every frame: the source's own wherever it has one."""

from __future__ import annotations

from fractions import Fraction

FALLBACK_RATE = Fraction(25)
"""Frames per second of a stream that says nothing about time: what ffmpeg takes."""


class Timestamps:
    """Gives frames in presentation order increasing pts.

    Attributes:
        time_base: Seconds per unit of pts.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self.time_base = time_base
        self._step = max(1, round(1 / ((frame_rate or FALLBACK_RATE) * time_base)))
        self._last: int | None = None

    def stamp(self, pts: int | None, dts: int | None) -> int:
        """Return the pts to use for the next frame."""
        known = pts if pts is not None else dts
        if known is None:
            known = 0 if self._last is None else self._last + self._step
        elif self._last is not None and known <= self._last:
            # The smallest step: a longer one would push every later frame away from its own pts.
            known = self._last + 1
        self._last = known
        return known
