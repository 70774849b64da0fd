"""A source with a fallback, which takes its place while it is lost.

The first source keeps connecting in its own thread; the second is only connected meanwhile. Both
appear as new connections, so that the output continues across the change as across any other.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from vsr.live.input.connection import Arrival, FormatChange
from vsr.live.input.kind import ends
from vsr.live.input.source import Event, Source, SourceLost
from vsr.live.monitor.counted_log import CountedLog

log = logging.getLogger(__name__)

FIRST_S = 5.0
"""Seconds that the first source may take at the beginning; a failure of it is noticed at once."""

SILENT_S = 2.0
"""A first source whose picture is missing for longer is replaced."""

STEADY_S = 1.0
"""The first source takes its place again once its picture has come for so long."""

LOOK_EVERY_S = 0.02


class FallbackSource:
    """Two sources as one. Used by one thread, except ``stop``.

    Args:
        first: The preferred source; not started.
        make_second: Makes the other one, each time it is needed.
        repeats: Whether the second is a file, which begins again at its end.
        name: Name of the stream, for log lines.

    Attributes:
        fallbacks: Times the second took the place of the first.
    """

    def __init__(
        self, first: Source, make_second: Callable[[], Source], *, repeats: bool, name: str
    ) -> None:
        self.fallbacks = 0
        self._first, self._make_second, self._repeats = first, make_second, repeats
        self._name, self._log = name, CountedLog(log)
        self._second: Source | None = None
        self._corrupt_before = self._reconnects_before = 0
        self._ready: deque[Event] = deque()
        self._format: FormatChange | None = None
        self._back_since: float | None = None
        self._first_error: SourceLost | None = None
        self._second_is_over = False
        self._patient_until = float("inf")
        self._is_stopped = False

    @property
    def on_fallback(self) -> bool:
        """Whether the second source is shown in place of the first."""
        return self._second is not None

    @property
    def corrupt(self) -> int:
        """As in ``Source``, of both."""
        now = self._second.corrupt if self._second else 0
        return self._first.corrupt + self._corrupt_before + now

    @property
    def reconnects(self) -> int:
        """As in ``Source``, of both."""
        now = self._second.reconnects if self._second else 0
        return self._first.reconnects + self._reconnects_before + now

    @property
    def depth(self) -> int:
        """As in ``Source``, of the one that is shown."""
        return (self._second or self._first).depth

    def start(self) -> None:
        """Start connecting to the first source."""
        self._first.start()
        self._patient_until = time.monotonic() + FIRST_S

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event of the source that is shown; None after the time-out."""
        until = time.monotonic() + timeout_s
        while not self._ready:
            left_s = max(0.0, until - time.monotonic())
            self._look(min(left_s, LOOK_EVERY_S))
            if not self._ready and left_s <= 0:
                return None
        return self._ready.popleft()

    def stop(self) -> None:
        """Stop connecting and reading; waiting events remain."""
        self._is_stopped = True
        self._first.stop()
        if (second := self._second) is not None:
            second.stop()

    def close(self) -> None:
        """Stop both, and wait briefly for their threads."""
        self._is_stopped = True
        self._first.close()
        self._retire()

    def _look(self, wait_s: float) -> None:
        """Take at most one event of each source."""
        event = self._first.next_event(0.0 if self.on_fallback else wait_s)
        if event is not None:
            self._take_first(event)
        elif not self.on_fallback and time.monotonic() > self._patient_until:
            self._replace("has no picture")
        if self._second is not None and (other := self._second.next_event(wait_s)) is not None:
            self._take_second(other)

    def _take_first(self, event: Event) -> None:
        if isinstance(event, SourceLost):
            self._lose_first(event)
            return
        if isinstance(event, FormatChange):
            self._format = replace(event, renewed=True)
        elif event.chunk is not None:
            self._patient_until = time.monotonic() + SILENT_S
        if not self.on_fallback:
            self._ready.append(event)
        elif isinstance(event, Arrival) and event.chunk is not None:
            self._come_back(event)

    def _come_back(self, event: Arrival) -> None:
        """Show the first source again once it is steady; its frames until then are not shown."""
        if self._back_since is None or event.at - self._back_since < STEADY_S:
            self._back_since = self._back_since or event.at
            return
        assert self._format is not None
        self._retire()
        self._log.warning("back", f"{self._name}: the source is back in place of its fallback")
        self._ready += [self._format, event]

    def _lose_first(self, event: SourceLost) -> None:
        self._back_since = None
        if event.final and event.error is None:
            self._ready.append(event)
            return
        if event.final:
            self._first_error, self._patient_until = event, float("inf")
            event = event if self._second_is_over else SourceLost(reason=event.reason)
        if not self.on_fallback:
            self._ready.append(event)
            self._replace("is lost")
        elif event.final:
            self._ready.append(event)

    def _replace(self, why: str) -> None:
        """Connect to the second source."""
        if self._is_stopped:
            return
        self.fallbacks += 1
        self._back_since = None
        self._log.warning("fallback", f"{self._name}: the source {why}; its fallback takes over")
        self._begin_second()

    def _begin_second(self) -> None:
        self._second, self._second_is_over = self._make_second(), False
        self._second.start()

    def _take_second(self, event: Event) -> None:
        if not isinstance(event, SourceLost) or not event.final:
            self._ready.append(event)
        elif event.error is None and self._repeats and not self._is_stopped:
            self._retire()
            self._begin_second()
        elif self._first_error is not None:
            self._ready.append(self._first_error)
        else:
            self._second_is_over = True
            self._log.warning("missing", f"{self._name}: its fallback is lost ({event.reason})")
            self._ready.append(SourceLost(reason=event.reason))

    def _retire(self) -> None:
        """End the second source, whose counts are kept."""
        if (second := self._second) is not None:
            second.close()
            self._corrupt_before += second.corrupt
            self._reconnects_before += second.reconnects
            self._second, self._back_since = None, None


def make_source(
    first: Source, fallback: str | None, make_second: Callable[[str], Source], name: str
) -> Source | FallbackSource:
    """A source, with its fallback where there is one.

    Args:
        first: See ``FallbackSource``.
        fallback: A file or an address; None for none.
        make_second: Makes a source of that.
        name: See ``FallbackSource``.
    """
    if fallback is None:
        return first
    return FallbackSource(first, lambda: make_second(fallback), repeats=ends(fallback), name=name)
