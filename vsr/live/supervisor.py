"""Several streams in one process: one that fails is restarted, and the others continue."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from vsr.engine.cpu_threads import use_one_core
from vsr.errors import VSRError
from vsr.live.input.retry import Retry
from vsr.live.options import StreamOptions
from vsr.live.stream import LiveStream
from vsr.streams.names.formats import ADDRESS_FORMATS, PLAYLISTS, suffix_of

log = logging.getLogger(__name__)

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0

SETTLED_S = 60.0
"""A stream that ran for longer begins with the short delay again."""

WAKE_EVERY_S = 0.25
"""The kernel may hand a signal to any thread, and only the main one runs Python's handlers, when it
next wakes."""

Make = Callable[[], LiveStream]
"""Makes a stream, fresh; it raises what the stream cannot be begun with."""


def run_all(running: Sequence[tuple[LiveStream, Make]], stop: threading.Event) -> None:
    """Run streams until all have ended.

    Args:
        running: Each stream, and a function that makes it again.
        stop: Set it to end them in order.
    """
    threads = [
        threading.Thread(
            target=run_again_and_again,
            args=(stream, make, stop),
            name=f"vsr-live-{stream.options.name}",
        )
        for stream, make in running
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(WAKE_EVERY_S)


def run_again_and_again(stream: LiveStream, make: Make, stop: threading.Event) -> None:
    """Run a stream; where it fails and may begin again, do so with growing delays.

    Streams share the cores: what is not the network's runs on one in each of their threads. Small
    operations on all cores in many threads at once mostly wait for each other.
    """
    use_one_core()
    options = stream.options
    retry = Retry(None, first_s=FIRST_DELAY_S, longest_s=LONGEST_DELAY_S)
    made: LiveStream | None = stream
    while True:
        began = time.monotonic()
        if _ends_well(options.name, made, make, stop):
            return
        made = None
        if time.monotonic() - began > SETTLED_S:
            retry.succeeded()
        delay_s = retry.next_delay_s()
        if delay_s is None or not may_begin_again(options) or stop.is_set():
            return
        log.warning("%s: started again in %g s", options.name, delay_s)
        if stop.wait(delay_s):
            return


def may_begin_again(options: StreamOptions) -> bool:
    """Whether a stream that failed loses nothing by a restart.

    One whose attempts are bounded is given up, as requested; a file that was written until the
    failure is not begun again.
    """
    suffixes = [suffix_of(target) for target in options.targets]
    if options.segments is not None:
        suffixes.pop()  # the next file has another name
    has_file = any(s not in ADDRESS_FORMATS and s not in PLAYLISTS for s in suffixes)
    return options.retries is None and not has_file


def _ends_well(name: str, made: LiveStream | None, make: Make, stop: threading.Event) -> bool:
    try:
        (made or make()).run(stop)
    except VSRError as error:
        log.error("%s ended: %s", name, error)
    except Exception:
        log.exception("%s ended", name)
    else:
        return True
    return False
