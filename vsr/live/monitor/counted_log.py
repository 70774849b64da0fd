"""Log lines of events that come back: the first is written, the rest counted."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

EVERY_S = 60.0
"""Least time between two lines about the same thing."""


@dataclass
class _Entry:
    said_at: float
    missed: int = 0


class CountedLog:
    """Writes a line about each thing, and after that at most one a minute, with a count.

    Args:
        log: Logger of the lines, which are warnings.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()

    def warning(self, about: str, text: str, now: float | None = None) -> None:
        """Write a line, or count it where one about the same was written within a minute.

        Args:
            about: Subject of the line, of which there are few.
            text: The line.
            now: On the monotonic clock.
        """
        with self._lock:
            moment = time.monotonic() if now is None else now
            entry = self._entries.get(about)
            if entry is not None and moment - entry.said_at < EVERY_S:
                entry.missed += 1
                return
            missed = 0 if entry is None else entry.missed
            self._entries[about] = _Entry(moment)
        self._log.warning("%s%s", text, _more(missed))

    def catch_up(self, about: str, text: str, now: float) -> None:
        """Write a line about events that were only counted so far, once a minute is over."""
        entry = self._entries.get(about)
        if entry is not None and entry.missed and now - entry.said_at >= EVERY_S:
            self.warning(about, text, now)


def _more(missed: int) -> str:
    return f" ({missed} more like it since the last line)" if missed else ""
