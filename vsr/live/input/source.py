"""A source that reconnects, in its own thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from subprocess import SubprocessError

from av.error import FFmpegError

from vsr.address import redact, shown
from vsr.engine.cpu_threads import use_one_core
from vsr.errors import DecodeError, VSRError
from vsr.live.input.connection import Arrival, Connection, FormatChange
from vsr.live.input.kind import check_listening, ends, is_accepting
from vsr.live.input.listener import Listener, Published
from vsr.live.input.retry import SETTLED_S, Retry
from vsr.live.monitor.counted_log import CountedLog
from vsr.streams.names.container import SYSTEM, reason
from vsr.streams.names.trust import Trust

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.1

CLOSE_TIMEOUT_S = 0.25

FAILURES = (VSRError, FFmpegError, OSError, SubprocessError)
"""Errors that end a connection and may not recur in another."""

MOST_EVENTS = 500
"""Frames and packets of sound that may wait: beyond, the source is held back."""

MOST_BYTES = 256 * 2**20
"""Frames that may wait: more of small ones than of large ones."""


@dataclass(frozen=True, kw_only=True)
class SourceLost:
    """The source was lost, temporarily or finally.

    Attributes:
        reason: Reason without secrets; None for the end of a file.
        error: Error that ends the stream; None if it is retried or ended normally.
        final: Whether no event follows.
    """

    reason: str | None
    error: VSRError | None = None
    final: bool = False


Event = Arrival | FormatChange | SourceLost


class Source:
    """Reads a source and reconnects to it.

    Args:
        address: A file or an address.
        listen: See ``Connection``.
        options: See ``Connection``.
        trust: See ``Connection``.
        max_pixels: See ``Connection``.
        retry: Retry policy.

    Attributes:
        corrupt: Number of damaged packets and frames.
        reconnects: Number of connections after the first.

    Raises:
        ConfigurationError: ``listen`` for a source that cannot be published to.
    """

    def __init__(
        self,
        address: str,
        *,
        listen: bool = False,
        options: Mapping[str, str] | None = None,
        trust: Trust = SYSTEM,
        max_pixels: int | None = None,
        retry: Retry,
    ) -> None:
        if listen:
            check_listening(address)
        self._listener = Listener(address) if listen and is_accepting(address) else None
        self.reconnects = 0
        self._address, self._listen, self._options = address, listen, options
        self._max_pixels = max_pixels
        self._trust, self._log = trust, CountedLog(log)
        self._retry = retry
        self._events: deque[Event] = deque()
        self._bytes = self._frames = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._delay_s = 0.0
        self._connection: Connection | None = None
        self._connected = 0
        self._corrupt_before = 0
        self._thread = threading.Thread(target=self._read, name="vsr-live-source", daemon=True)

    @property
    def corrupt(self) -> int:
        """Number of damaged packets and frames so far."""
        now = self._connection.corrupt if self._connection else 0
        return self._corrupt_before + now

    @property
    def depth(self) -> int:
        """Number of waiting frames."""
        return self._frames

    def start(self) -> None:
        """Start connecting."""
        self._thread.start()

    def next_event(self, timeout_s: float) -> Event | None:
        """The next event; None after the time-out."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._events), timeout_s):
                return None
            event = self._events.popleft()
            self._bytes -= _bytes_of(event)
            self._frames -= _bytes_of(event) > 0
            self._changed.notify_all()
            return event

    def stop(self) -> None:
        """Stop connecting and reading; waiting events remain."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        if (connection := self._connection) is not None:
            connection.interrupt()

    def close(self) -> None:
        """Stop, and wait briefly for the reading thread, which ends with the next packet."""
        self.stop()
        if self._listener is not None:
            self._listener.close()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_TIMEOUT_S)

    def _read(self) -> None:
        use_one_core()
        try:
            self._read_all()
        except Exception as error:
            # The error would otherwise end with this thread unseen.
            failure = self._broken(error)
            self._put(SourceLost(reason=str(failure), error=failure, final=True))

    def _read_all(self) -> None:
        while not self._stop.is_set():
            lost = self._connect()
            if not self._put(lost) or lost.final:
                return
            if lost.reason is not None:
                self._log.warning(lost.reason, f"{lost.reason}; connecting again")
            self._stop.wait(self._delay_s)

    def _connect(self) -> SourceLost:
        """Read one connection until it ends."""
        published = self._wait_for_publisher()
        if self._stop.is_set():
            return SourceLost(reason=None)
        try:
            connection = Connection(
                self._address,
                listen=self._listen,
                published=published,
                options=self._options,
                trust=self._trust,
                max_pixels=self._max_pixels,
            )
        except FAILURES as error:
            return self._failed(error)
        self._connection, began = connection, time.monotonic()
        if self._stop.is_set():
            connection.interrupt()
        try:
            for event in connection.arrivals():
                if not self._put(event):
                    break
                if isinstance(event, FormatChange) and event.renewed:
                    self._count()
                elif time.monotonic() - began > SETTLED_S:
                    self._retry.succeeded()
        except FAILURES as error:
            return self._failed(error)
        finally:
            self._connection = None
            self._corrupt_before += connection.corrupt
            connection.close()
        if ends(self._address):
            return SourceLost(reason=None, final=True)
        return self._failed(VSRError(f"{shown(self._address)} ended"))

    def _wait_for_publisher(self) -> Published | None:
        """The next publisher at our own listener; None without one, or once stopped."""
        while self._listener is not None and not self._stop.is_set():
            if (published := self._listener.next_publisher(LOOK_EVERY_S)) is not None:
                return published
        return None

    def _count(self) -> None:
        self.reconnects += self._connected > 0
        self._connected += 1

    def _failed(self, error: Exception) -> SourceLost:
        if not isinstance(error, VSRError):
            error = self._broken(error)
        delay_s = self._retry.next_delay_s()
        if delay_s is None or ends(self._address):
            return SourceLost(reason=str(error), error=error, final=True)
        self._delay_s = delay_s
        return SourceLost(reason=str(error))

    def _broken(self, error: Exception) -> DecodeError:
        """Errors of libraries, whose messages may contain the address."""
        why = redact(reason(error), self._address)
        failure = DecodeError(f"{shown(self._address)} broke off ({why})")
        failure.__cause__ = error
        return failure

    def _put(self, event: Event) -> bool:
        """Queue an event, waiting for room; False once the source is stopped."""
        size = _bytes_of(event)
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._has_room(size))
            if self._stop.is_set():
                return False
            self._events.append(event)
            self._bytes += size
            self._frames += size > 0
            self._changed.notify_all()
            return True

    def _has_room(self, size: int) -> bool:
        fits = not self._frames or self._bytes + size <= MOST_BYTES
        return fits and len(self._events) < MOST_EVENTS


def _bytes_of(event: Event) -> int:
    """Bytes of a frame; 0 for other events."""
    if not isinstance(event, Arrival) or event.chunk is None:
        return 0
    return event.chunk.frames.nbytes
