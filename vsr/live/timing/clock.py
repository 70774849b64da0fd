"""The output clock: continuous output times for discontinuous source times.

Source times are shifted by a constant. When they jump, or the source reconnects, a new offset
applies: the output advances as far as the wall clock has since the last frame, so that it is
neither late nor ahead, and never goes back. The same holds if a source was paused and its times
merely continue: all its frames would be late. Audio is shifted like the frames of its time.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from vsr.streams.decode.timestamps import FALLBACK_RATE

JUMP_S = 1.0
"""Frames further apart than this beyond the time that passed do not belong together; nor do those
belong to the output's times that came too late for so long."""

CATCHES_UP = 4
"""Times as fast as the wall clock, at least: what was held up on its way, and not a source that was
stopped and goes on."""

SHORTEST = Fraction(1, 480)
"""Seconds: frames closer together come of times that creep, a tick a frame, as muxers have them
that are given times that went back."""

MOST_LEAD_S = 1.0
"""The output may be ahead of the wall clock by so much more than at its beginning; frames that
would take it further are dropped."""

SMALL_LEAD_S = 0.2
WORKED_OFF_EVERY = 10
"""A lead beyond the small one is worked off by a frame in so many."""

BEGINNING_S = 5.0
"""Servers send what they have kept in one go at first: the lead of that time is the usual one."""

NEAR_S = 3
"""Sound this close to the picture belongs to it: interleaving is never so coarse."""

_EVEN_RATES = range(1, 241)

FALLBACK_STEP = Fraction(1, 25)

OTHER_AFTER = 50
"""Frames that have come at another rate for it to be believed."""

OTHER_BY = Fraction(5, 4)
"""Times as often or as rarely, at least, is another rate."""

MOST_HELD = 25
"""Frames that fill a gap at once: between them the sending thread does its other work."""


class Clock:
    """Maps source times to output times. Used by one thread.

    Args:
        time_base: Seconds per unit of the output's pts.
        step: Seconds between frames, used to continue after a gap.

    Attributes:
        last: Latest output time in seconds, including held frames; None before any.
        jumps: Discontinuities of source times other than reconnects.
    """

    def __init__(self, time_base: Fraction, step: Fraction = FALLBACK_STEP) -> None:
        self.time_base, self.step = time_base, step
        self.last: Fraction | None = None
        self.jumps = 0
        self._shifts: list[Fraction] = []
        self._last_source: Fraction | None = None
        self._came_at = 0.0
        self._late: tuple[Fraction, float] | None = None
        self._last_real = Fraction(0)
        self._last_at = 0.0
        self._steps: deque[Fraction] = deque(maxlen=OTHER_AFTER)
        self._began_at: float | None = None
        self._usual_lead_s = self._lead_s = 0.0
        self._since_worked_off = 0

    @property
    def lead_s(self) -> float:
        """Seconds by which the output has moved ahead of the wall clock since its beginning."""
        return self._lead_s

    def restart(self) -> None:
        """Note a reconnect: new source times are unrelated to the old ones."""
        self._shifts, self._last_source, self._late = [], None, None
        self._steps.clear()

    def frame(self, time: Fraction, at: float) -> int | None:
        """Output pts of a frame.

        Args:
            time: Source time in seconds.
            at: Arrival time on the wall clock in seconds.

        Returns:
            A pts after all others; None for a frame whose place has been filled already, or that
            has no place.
        """
        if self._last_source is None or not self._goes_on(time, at) or self._stays_late(time, at):
            self.jumps += self._last_source is not None
            self._shifts = [self._resume(at) - time, *self._shifts[:1]]
        else:
            self._steps.append(time - self._last_source)
        self._last_source, self._came_at = time, at
        self._bound_lead(time, at)
        pts = round((time + self._shifts[0]) / self.time_base)
        moment = pts * self.time_base
        if self.last is not None and moment < self.last + SHORTEST:
            self._late = self._late or (time, at)
            return None
        self._late, self._last_at, self._last_real = None, at, moment
        self.last = moment
        return pts

    def other_rate(self) -> Fraction | None:
        """Frames per second, if they clearly differ from ``step``."""
        if len(self._steps) < OTHER_AFTER:
            return None
        step = sorted(self._steps)[OTHER_AFTER // 2]
        if step * OTHER_BY > self.step and self.step * OTHER_BY > step:
            return None
        alike = [one for one in self._steps if abs(one - step) * 2 < step]
        self._steps.clear()
        rate = (len(alike) / sum(alike, Fraction(0))).limit_denominator(100)
        return rate if rate_of(rate) == rate else None

    def near(self) -> list[tuple[Fraction, Fraction]]:
        """Range of source times with an output time for audio; inclusive."""
        reach = [self._last_real - NEAR_S, self._last_real + NEAR_S]
        return [(reach[0] - shift, reach[1] - shift) for shift in self._shifts]

    def sound(self, time: Fraction) -> Fraction | None:
        """Output time of an audio packet; None if it belongs to future frames."""
        moments = [time + shift for shift in self._shifts]
        nearest = min(moments, key=lambda moment: abs(moment - self._last_real), default=None)
        if nearest is None or abs(nearest - self._last_real) > NEAR_S:
            return None
        return nearest

    def held(self, now: float, delay_s: float) -> list[int]:
        """Pts of held frames that are due, at most ``MOST_HELD``.

        Args:
            now: Wall clock in seconds.
            delay_s: Delay of the output behind the source in seconds.
        """
        due: list[int] = []
        while self.last is not None and len(due) < MOST_HELD:
            pts = round((self.last + self.step) / self.time_base)
            moment = pts * self.time_base
            if now < self._last_at + float(moment - self._last_real) + delay_s:
                break
            self.last = moment
            due.append(pts)
        return due

    def between(self, last: Fraction, pts: int) -> list[int]:
        """Pts that fill the gap between an output time and a later frame."""
        filled = []
        while last + Fraction(3, 2) * self.step < pts * self.time_base:
            last += self.step
            filled.append(round(last / self.time_base))
        return filled

    def _bound_lead(self, time: Fraction, at: float) -> None:
        """Shift a frame, and those after it, back where the output would run ahead for good."""
        self._began_at = at if self._began_at is None else self._began_at
        passed_s = at - self._began_at
        lead_s = float(time + self._shifts[0]) - passed_s
        if passed_s < BEGINNING_S:
            self._usual_lead_s = max(self._usual_lead_s, lead_s)
        self._lead_s = lead_s - self._usual_lead_s
        self._since_worked_off += 1
        if self._lead_s > MOST_LEAD_S:
            self._shift_back(Fraction(self._lead_s).limit_denominator(1_000_000))
        elif self._lead_s > SMALL_LEAD_S and self._since_worked_off >= WORKED_OFF_EVERY:
            self._shift_back(self.step)

    def _shift_back(self, by: Fraction) -> None:
        shift = self._shifts[0] - round(by / self.time_base) * self.time_base
        self._shifts = [shift, *self._shifts[:1]]
        self._since_worked_off = 0
        self._lead_s -= float(by)

    def _goes_on(self, time: Fraction, at: float) -> bool:
        assert self._last_source is not None
        moved = float(time - self._last_source)
        return 0 < moved < at - self._came_at + JUMP_S

    def _stays_late(self, time: Fraction, at: float) -> bool:
        """Whether frames have been late for long without catching up."""
        if self._late is None or at - self._late[1] < JUMP_S:
            return False
        (first, since), self._late = self._late, None
        return float(time - first) < CATCHES_UP * (at - since)

    def _resume(self, at: float) -> Fraction:
        """Output time of a frame that arrives now, after a discontinuity."""
        if self.last is None:
            return Fraction(0)
        passed = Fraction(at - self._last_at).limit_denominator(1_000_000)
        moment = max(self._last_real + max(passed, self.step), self.last + self.step)
        return round(moment / self.time_base) * self.time_base


def rate_of(rate: Fraction | None) -> Fraction:
    """Frames per second; a default if the container's value is missing or absurd."""
    exact = Fraction(rate or 0)  # PyAV 19 has a type of its own, which int() refuses
    return exact if int(exact) in _EVEN_RATES else FALLBACK_RATE
