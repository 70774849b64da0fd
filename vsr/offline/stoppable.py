"""Opening a source so that a signal ends it: a silent one blocks in PyAV, where none arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from vsr.types import Reader

LOOK_EVERY_S = 0.1


def open_until_stopped(
    open_source: Callable[[], Reader], stop: threading.Event | None
) -> Reader | None:
    """Open a source in a thread of its own while this one, which gets the signals, waits.

    Args:
        open_source: Opens it.
        stop: Set it to wait no longer; None to open it in this thread.

    Returns:
        The reader; None after ``stop``, when the thread is left behind and closes what it opens.
    """
    if stop is None:
        return open_source()
    opened: Future[Reader] = Future()
    opened.set_running_or_notify_cancel()
    arguments = (open_source, opened)
    threading.Thread(target=_open, args=arguments, name="vsr-open", daemon=True).start()
    while not stop.is_set():
        if wait([opened], LOOK_EVERY_S).done:
            return opened.result()
    opened.add_done_callback(_close)
    return None


def _open(open_source: Callable[[], Reader], opened: Future[Reader]) -> None:
    try:
        opened.set_result(open_source())
    except BaseException as error:
        opened.set_exception(error)


def _close(opened: Future[Reader]) -> None:
    if opened.exception() is None:
        opened.result().close()
