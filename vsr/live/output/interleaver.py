"""Interleaving of video and audio packets."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from vsr.live.audio.packets import EncodedPacket
from vsr.live.output.sink import Sink


class Interleaver:
    """Interleaves video and audio packets by time for all sinks.

    Args:
        outlets: The sinks.
        on_picture: Called with every emitted video packet.
    """

    def __init__(self, sinks: list[Sink], on_picture: Callable[[EncodedPacket], None]) -> None:
        self._sinks, self._on_picture = sinks, on_picture
        self._sound: deque[EncodedPacket] = deque()
        self._lock = threading.Lock()

    def sound(self, packets: list[EncodedPacket]) -> None:
        """Queue audio until the video reaches its time."""
        with self._lock:
            self._sound.extend(packets)

    def picture(self, coded: EncodedPacket) -> None:
        """Emit a video packet after the audio before it."""
        with self._lock:
            while self._sound and self._sound[0].time < coded.time:
                self._send(self._sound.popleft())
            self._send(coded)
        self._on_picture(coded)

    def finish(self) -> None:
        """Emit all waiting audio."""
        with self._lock:
            while self._sound:
                self._send(self._sound.popleft())

    def _send(self, coded: EncodedPacket) -> None:
        for sink in self._sinks:
            sink.put(coded)
