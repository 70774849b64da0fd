"""Frames at the pace of their times."""

from __future__ import annotations

import time
from fractions import Fraction

LOOK_EVERY_S = 0.5


class Pacer:
    """Lets frames through at the pace of their times.

    Attributes:
        hurry: Let everything through.
    """

    def __init__(self) -> None:
        self.hurry = False
        self._origin: float | None = None
        self._last: Fraction | None = None

    def wait(self, moment: Fraction) -> None:
        """Wait until a frame's time has come; a jump of times begins a new count."""
        now = time.monotonic()
        jumped = self._last is not None and not 0 < moment - self._last < 1
        self._last = moment
        if self._origin is None or jumped or now > self._origin + float(moment):
            self._origin = now - float(moment)
        while not self.hurry and (left := self._origin + float(moment) - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_EVERY_S))
