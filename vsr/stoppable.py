"""Reading that a signal can end: a silent source blocks in PyAV, where no signal arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from vsr.types import Reader  # loads torch

T = TypeVar("T")

LOOK_EVERY_S = 0.1


def call_until_stopped(
    work: Callable[[], T],
    stop: threading.Event | None,
    *,
    discard: Callable[[T], object] = lambda _: None,
) -> T | None:
    """Call a function in a thread of its own while this one, which gets the signals, waits.

    Args:
        work: Function that reads, and may block for as long as its source is silent.
        stop: Set it to wait no longer; None to call the function in this thread.
        discard: Called with a result that comes after ``stop``.

    Returns:
        The function's result; None after ``stop``, when the thread is abandoned.
    """
    if stop is None:
        return work()
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()
    threading.Thread(target=_call, args=(work, done), name="vsr-read", daemon=True).start()
    while not stop.is_set():
        if wait([done], LOOK_EVERY_S).done:
            return done.result()
    done.add_done_callback(lambda late: late.exception() or discard(late.result()))
    return None


def open_until_stopped(
    open_source: Callable[[], Reader], stop: threading.Event | None
) -> Reader | None:
    """Open a source; None after ``stop``, and a source that is opened later is closed."""
    return call_until_stopped(open_source, stop, discard=lambda reader: reader.close())


def iterate_until_stopped(items: Iterator[T], stop: threading.Event | None) -> Iterator[T]:
    """The items that come before ``stop``, each made in a thread of its own."""
    while (item := call_until_stopped(lambda: next(items, None), stop)) is not None:
        yield item


def _call(work: Callable[[], T], done: Future[T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
