"""Trimming a stream, exact to the frame."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vsr.errors import ConfigurationError

Seconds = float | Fraction

_FINEST = 1_000_000
"""Seconds as a float are taken to the microsecond: 1.1 means 11/10, not its nearest binary."""


@dataclass(frozen=True, kw_only=True)
class Trim:
    """Half-open: a frame is wanted if it starts at or after ``start`` and before ``end``.

    Attributes:
        start: Absolute presentation time in seconds; None for the first frame.
        end: Absolute presentation time in seconds; None for the last frame.
    """

    start: Fraction | None = None
    end: Fraction | None = None

    @property
    def everything(self) -> bool:
        return self.start is None and self.end is None

    def is_early(self, time: Fraction) -> bool:
        return self.start is not None and time < self.start

    def is_late(self, time: Fraction) -> bool:
        return self.end is not None and time >= self.end

    def count(self, duration: Fraction, origin: Fraction, rate: Fraction) -> int:
        """Frames that an evenly timed stream of ``duration`` seconds from ``origin`` leaves."""
        first = max(origin, self.start) if self.start is not None else origin
        last = min(origin + duration, self.end) if self.end is not None else origin + duration
        return max(0, round((last - first) * rate))


def make_trim(start_s: Seconds | None, end_s: Seconds | None, origin: Fraction) -> Trim:
    """Place seconds counted from the stream's first frame in the stream's own time.

    Raises:
        ConfigurationError: A negative start, or an end that is not after it.
    """
    start, end = as_fraction(start_s), as_fraction(end_s)
    if start is not None and start < 0:
        raise ConfigurationError(f"start {start_s} s is negative; give seconds from the beginning")
    if end is not None and end <= (start or 0):
        raise ConfigurationError(
            f"end {end_s} s is not after start {start_s or 0} s; give a later end"
        )
    return Trim(
        start=None if start is None else origin + start,
        end=None if end is None else origin + end,
    )


def as_fraction(seconds: Seconds | None) -> Fraction | None:
    """Exact seconds; a float is rounded to the microsecond."""
    if seconds is None or isinstance(seconds, Fraction):
        return seconds
    return Fraction(seconds).limit_denominator(_FINEST)
