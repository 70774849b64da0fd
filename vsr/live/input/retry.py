"""Retry delays."""

from __future__ import annotations

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 1.0
"""A source or sink that returns is connected within five seconds, the wait for a key frame
included."""

SETTLED_S = 2.0
"""A connection that lasted this long has succeeded."""


class Retry:
    """Growing delays between attempts.

    Args:
        limit: Consecutive failures allowed after the first; None for unlimited.
        first_s: The first delay; each is twice the one before.
        longest_s: The longest delay.
    """

    def __init__(
        self,
        limit: int | None,
        *,
        first_s: float = FIRST_DELAY_S,
        longest_s: float = LONGEST_DELAY_S,
    ) -> None:
        self._limit, self._first_s, self._longest_s = limit, first_s, longest_s
        self._failed = 0

    def next_delay_s(self) -> float | None:
        """Seconds to wait after another failure; None once the limit is reached."""
        self._failed += 1
        if self._limit is not None and self._failed > self._limit:
            return None
        return float(min(self._longest_s, self._first_s * 2 ** min(self._failed - 1, 8)))

    def succeeded(self) -> None:
        """Reset the delays."""
        self._failed = 0
