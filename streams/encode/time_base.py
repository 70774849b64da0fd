"""Time bases for encoders and containers that do not accept every one."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

AVI = ".avi"

_MPEG_RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")
)
"""Frame rates of MPEG-1 and MPEG-2 (ISO/IEC 13818-2, table 6-4)."""

_MPEG4_TICKS = 65535
"""A second at most, in MPEG-4 (ISO/IEC 14496-2, vop_time_increment_resolution)."""

_VISIBLE = Fraction(1, 1000)
"""Resolution of Matroska: a finer clock needs no note."""


def container_clock(suffix: str, time_base: Fraction, frame_rate: Fraction | None) -> Fraction:
    """The time base that a container keeps: AVI only knows how long every frame lasts."""
    return 1 / frame_rate if suffix == AVI and frame_rate else time_base


def coarser_clocks(frame_rate: Fraction) -> Iterator[Fraction]:
    """Time bases for encoders that do not take the source's, the finest first."""
    if frame_rate.numerator <= _MPEG4_TICKS:
        yield Fraction(1, frame_rate.numerator * (_MPEG4_TICKS // frame_rate.numerator))
    yield 1 / frame_rate
    # Guessed rates are a little off; of the others, those come first that are a multiple.
    near = (rate for rate in _MPEG_RATES if rate > frame_rate * Fraction(999, 1000))
    for rate in sorted(near, key=lambda rate: ((rate / frame_rate).denominator != 1, rate)):
        yield 1 / rate


def clock_note(what: str, clock: Fraction) -> str | None:
    """A sentence where frames are moved further than most containers would."""
    if clock <= _VISIBLE:
        return None
    return f"{what} has one frame rate, {1 / clock} a second: each frame goes to the nearest place"


class FrameClock:
    """Rounds times to a time base, so that no two frames get the same pts."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._last: int | None = None

    def pts(self, pts: int, time_base: Fraction) -> int:
        """The next frame's pts."""
        if time_base == self._time_base:
            return pts
        rounded = round(pts * time_base / self._time_base)
        if self._last is not None:
            rounded = max(rounded, self._last + 1)
        self._last = rounded
        return rounded
