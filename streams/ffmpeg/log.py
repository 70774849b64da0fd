"""Reading ffmpeg's messages while it runs, so that it never blocks."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

from vsr.address import redact

KEPT_ERRORS = 6
SAID_ERRORS = 2
JOIN_TIMEOUT_S = 5.0

_PROGRESS = re.compile(r"(\w+)=\s*(\S*)")
_MESSAGE = re.compile(r"(?:\[[^\]]* @ 0x[0-9a-f]+\] )*\[(?:error|fatal|panic)\] (.*)")
_CONSEQUENCE = re.compile(
    r"Error (while opening encoder|sending frames|opening output|applying encoder|initializing)"
    r"|Task finished|Terminating thread|Could not open encoder|Nothing was written"
    r"|Conversion failed|Error splitting"
)
"""Lines that ffmpeg adds to every failure of some kind, whatever its cause."""

_MOVING = frozenset({"frame", "total_size"})


class FFmpegLog:
    """Drains the messages of an ffmpeg run with ``-loglevel level+warning -progress pipe:2``."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._errors: deque[str] = deque(maxlen=KEPT_ERRORS)
        self._progress: dict[str, str] = {}
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._drain, name="vsr-ffmpeg-log", daemon=True)
        self._thread.start()

    def idle_s(self) -> float:
        """Seconds since the number of encoded frames or the size of the output last changed."""
        return time.monotonic() - self._moved

    @property
    def has_written(self) -> bool:
        """Whether anything has got into the output."""
        return any(self._progress.get(key, "").strip("0N/A") for key in _MOVING)

    @property
    def frames(self) -> int | None:
        """Frames of the output so far, in ffmpeg's count."""
        frames = self._progress.get("frame", "")
        return int(frames) if frames.isdecimal() else None

    def reason(self) -> str:
        """The cause that ffmpeg gave, in one line."""
        return in_one_line(self._errors)

    def close(self) -> None:
        """Wait for the last lines of a process that has ended."""
        self._thread.join(JOIN_TIMEOUT_S)
        with suppress(OSError):
            self._stream.close()

    def _drain(self) -> None:
        with suppress(OSError, ValueError):
            for raw in self._stream:
                self._take(raw.decode("utf-8", "replace").strip())

    def _take(self, line: str) -> None:
        if found := _PROGRESS.fullmatch(line):
            key, value = found.groups()
            if key in _MOVING and self._progress.get(key) != value:
                self._progress[key] = value
                self._moved = time.monotonic()
        else:
            self._errors += causes([line])


def causes(lines: Iterable[str]) -> list[str]:
    """The errors among ffmpeg's messages, without component names, and without consequences."""
    found = (_MESSAGE.fullmatch(line.strip()) for line in lines)
    return [match[1].rstrip(".") for match in found if match and not _CONSEQUENCE.match(match[1])]


def in_one_line(errors: Iterable[str]) -> str:
    """The first errors, without secrets of addresses; later ones are vaguer."""
    return redact("; ".join(list(errors)[:SAID_ERRORS])) or "it gave no reason"
