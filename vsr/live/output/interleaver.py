"""Where picture and sound come together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from vsr.live.audio.packets import Coded
from vsr.live.output.sink import Outlet


class Junction:
    """Brings picture and sound together in the order of time, for all sinks.

    Args:
        outlets: The sinks.
        on_picture: Called with every coded picture that leaves.
    """

    def __init__(self, outlets: list[Outlet], on_picture: Callable[[Coded], None]) -> None:
        self._outlets, self._on_picture = outlets, on_picture
        self._sound: deque[Coded] = deque()
        self._lock = threading.Lock()

    def sound(self, packets: list[Coded]) -> None:
        """Sound that leaves once the picture has come to its time."""
        with self._lock:
            self._sound.extend(packets)

    def picture(self, coded: Coded) -> None:
        """A picture leaves, behind the sound before it."""
        with self._lock:
            while self._sound and self._sound[0].time < coded.time:
                self._send(self._sound.popleft())
            self._send(coded)
        self._on_picture(coded)

    def finish(self) -> None:
        """All sound leaves."""
        with self._lock:
            while self._sound:
                self._send(self._sound.popleft())

    def _send(self, coded: Coded) -> None:
        for outlet in self._outlets:
            outlet.put(coded)
