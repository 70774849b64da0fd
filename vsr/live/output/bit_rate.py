"""Bit rate for a congested sink: lowered to the network's throughput, raised again when calm.

The encoder is only given a limit, which falls at once, to a share of the sink's recent throughput,
and rises in steps. A rise that does not hold is tried again after growing delays.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_S = 3.0
"""The throughput is taken of so long."""

SETTLING_S = 3.0
"""Seconds from one limit to the next: what waits has to be worked off first."""

SHARE = 0.75
"""Share of the throughput that becomes the limit: an encoder keeps to it on average only, sound
comes on top, and what waits has to be worked off."""

LOWEST_BITS_S = 100_000

RISE = 1.25
CALM_S = 20.0
LONGEST_CALM_S = 320.0
"""Time without congestion before the limit rises, at first and at most."""

HELD_S = 20.0
"""A rise that lasts so long was right."""


@dataclass(frozen=True, kw_only=True)
class SinkLoad:
    """State of one sink at one time.

    Attributes:
        offered: Bytes that it was given so far.
        taken: Bytes that it has taken so far.
        lost: Packets that it has missed so far.
        lag_s: Stream time of the packets that wait for it.
        is_judged: Whether it is open and has had the time to keep up.
    """

    offered: int
    taken: int
    lost: int
    lag_s: float
    is_judged: bool


class BitRateController:
    """Chooses the limit for one sink. Used by one thread.

    Args:
        most_lag_s: Largest lag; beyond half of it the sink is congested.

    Attributes:
        limit: Bits per second; None for none.
    """

    def __init__(self, most_lag_s: float) -> None:
        self.limit: int | None = None
        self._most_lag_s = most_lag_s
        self._seen: deque[tuple[float, SinkLoad]] = deque()
        self._usual_bits_s = 0.0
        self._changed_at = self._rose_at = self._calm_since = float("-inf")
        self._calm_s = CALM_S

    def decide(self, load: SinkLoad, now: float) -> int | None:
        """The limit from now on.

        Args:
            load: Load of the sink, at least every second.
            now: On the monotonic clock.
        """
        if not load.is_judged:
            self._seen.clear()
            return self.limit
        self._seen.append((now, load))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        if self._is_congested(load):
            self._calm_since = now
            if now - self._changed_at > SETTLING_S and self._has_seen_enough(now):
                self._fall(load, now)
        elif now - max(self._calm_since, self._changed_at) > self._calm_s:
            self._rise(now)
        return self.limit

    def _is_congested(self, load: SinkLoad) -> bool:
        """Whether it loses packets, or is far behind and does not catch up."""
        first = self._seen[0][1]
        return load.lost > first.lost or load.lag_s > max(self._most_lag_s / 2, first.lag_s)

    def _has_seen_enough(self, now: float) -> bool:
        return now - self._seen[0][0] > WINDOW_S / 2

    def _fall(self, load: SinkLoad, now: float) -> None:
        began, first = self._seen[0]
        taken, offered = (
            8 * amount / (now - began)
            for amount in (load.taken - first.taken, load.offered - first.offered)
        )
        if self.limit is None:
            self._usual_bits_s = offered
        if now - self._rose_at < HELD_S:
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S)
        lowest = [SHARE * taken, *([SHARE * self.limit] if self.limit is not None else [])]
        self.limit = max(LOWEST_BITS_S, round(min(lowest)))
        self._changed_at = now
        self._seen.clear()

    def _rise(self, now: float) -> None:
        if self.limit is None:
            return
        if now - self._rose_at > max(HELD_S, 2 * self._calm_s):
            self._calm_s = CALM_S
        self._changed_at = self._rose_at = now
        self.limit = round(RISE * self.limit)
        if self.limit > self._usual_bits_s:
            self.limit = None


def lowest(limits: list[int | None]) -> int | None:
    """The limit of one encoder for several sinks."""
    return min((limit for limit in limits if limit is not None), default=None)
