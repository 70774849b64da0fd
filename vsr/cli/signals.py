"""Signals that stop a run, and the exit of the process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

import click

T = TypeVar("T")

INTERRUPTED = 130
"""The exit code of a run that was ended early."""


class Stop(threading.Event):
    """An event that ends a run early.

    Attributes:
        received: Numbers of the signals received.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received: list[int] = []


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """An event set by the first Ctrl-C, SIGTERM or SIGHUP; the second ends the program at once.

    A SIGHUP that is ignored from the start, as ``nohup`` has it, stays so.
    """
    stop = Stop()

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        stop.received.append(number)
        stop.set()
        signal.signal(number, previous[signal.Signals(number)])

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {n: signal.signal(n, ask_to_stop) for n in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def unless_stopped(work: Callable[[], T]) -> T:
    """The result of a function that only reads; the first signal ends the command instead.

    Raises:
        Abort: A signal came.
    """
    from vsr.stoppable import call_until_stopped

    with stop_on_signal() as stop:
        result = call_until_stopped(work, stop)
    if result is None:
        raise click.Abort
    return result


def exit_process(code: int) -> NoReturn:
    """End the process with an exit code.

    A silent connection, or one that is still being opened, blocks its thread in PyAV until a
    time-out and cannot be interrupted. The interpreter's shutdown frees the objects that
    the thread works on, which crashed one run in three; so where such a thread is left, the
    process ends without it.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
