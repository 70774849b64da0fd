"""Where picture and sound come together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from vsr.live.audio.packets import EncodedPacket
from vsr.live.output.sink import Sink


class Interleaver:
    """Brings picture and sound together in the order of time, for all sinks.

    Args:
        outlets: The sinks.
        on_picture: Called with every coded picture that leaves.
    """

    def __init__(self, sinks: list[Sink], on_picture: Callable[[EncodedPacket], None]) -> None:
        self._sinks, self._on_picture = sinks, on_picture
        self._sound: deque[EncodedPacket] = deque()
        self._lock = threading.Lock()

    def sound(self, packets: list[EncodedPacket]) -> None:
        """Sound that leaves once the picture has come to its time."""
        with self._lock:
            self._sound.extend(packets)

    def picture(self, coded: EncodedPacket) -> None:
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

    def _send(self, coded: EncodedPacket) -> None:
        for sink in self._sinks:
            sink.put(coded)
