"""Notifying systemd that the streams have begun, and periodically that none hangs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from vsr.live.monitor.figures import Figures
from vsr.live.monitor.health import hangs


@contextmanager
def watchdog(figures: Sequence[Figures]) -> Iterator[None]:
    """Notify while in this context; nothing where no service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(
        target=_notify, args=(address.replace("@", "\0", 1), figures, ended), name="vsr-live-watch"
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _notify(address: str, figures: Sequence[Figures], ended: threading.Event) -> None:
    # Twice within the time that the unit allows, as sd_watchdog_enabled(3) advises.
    every_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, suppress(OSError):
        line.connect(address)
        line.send(b"READY=1")
        while not ended.wait(every_s or None):
            if not any(hangs(one) for one in figures):
                line.send(b"WATCHDOG=1")
        line.send(b"STOPPING=1")
