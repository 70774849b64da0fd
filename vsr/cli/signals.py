"""How the command line ends: signals that ask a run to stop, and the exit of the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""The exit code of a run that was ended early."""


class Stop(threading.Event):
    """Set when a run shall end early.

    Attributes:
        received: Numbers of the signals that asked for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received: list[int] = []


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """An event that the first Ctrl-C or SIGTERM sets; the second ends the program at once."""
    stop = Stop()

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        stop.received.append(number)
        stop.set()
        signal.signal(number, previous[signal.Signals(number)])

    previous = {n: signal.signal(n, ask_to_stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def leave(code: int) -> NoReturn:
    """End the process with an exit code.

    A silent connection, or one that is still being opened, holds its thread in PyAV until a
    time-out, and nothing can call it back. The interpreter's own shutdown frees the objects that
    the thread works on, which crashed one run in three; so where such a thread is left, the
    process ends without it.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
