"""The encoder thread: colour conversion and writing to the encoder, beside the network."""

from __future__ import annotations

import threading
import time
from collections import deque
from fractions import Fraction

from vsr.engine.cpu_threads import use_one_core
from vsr.live.monitor.figures import Figures
from vsr.live.output.output import Output
from vsr.offline.queue import StageQueue
from vsr.types import Chunk

QUEUED = 2
"""Chunks that may wait to be encoded."""


class EncoderThread:
    """Writes chunks into an output and measures the latency of their frames.

    Args:
        figures: Receives the latencies.
        budget_s: Requested latency in seconds.
    """

    def __init__(self, figures: Figures, budget_s: float) -> None:
        self._figures, self._budget_s = figures, budget_s
        self._chunks: StageQueue[Chunk] = StageQueue(QUEUED)
        self._arrived: deque[tuple[Fraction, float]] = deque()
        self._thread: threading.Thread | None = None

    def start(self, output: Output) -> None:
        """Start writing into an output."""
        self._output = output
        self._thread = threading.Thread(target=self._run, name="vsr-live-write", daemon=True)
        self._thread.start()

    def note(self, moment: Fraction, at: float) -> None:
        """Note the arrival time of a frame with this output time."""
        self._arrived.append((moment, at))

    def put(self, chunk: Chunk) -> None:
        """Append frames; blocks until there is room.

        Raises:
            VSRError: Error of the output.
        """
        self._chunks.put(chunk)

    def left(self, moment: Fraction) -> None:
        """Note that a frame was emitted by the encoder; called from the output's thread."""
        self._figures.tally.frames_out += 1
        while self._arrived and self._arrived[0][0] <= moment:
            time_of, at = self._arrived.popleft()
            if time_of == moment:
                self._figures.note_emitted(time.monotonic() - at, self._budget_s)

    def finish(self) -> None:
        """Write all waiting frames.

        Raises:
            VSRError: Error of the output.
        """
        self.abort()
        self._chunks.raise_error()

    def abort(self) -> None:
        """Write waiting frames as far as possible; never raises."""
        self._chunks.close()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        use_one_core()
        try:
            for chunk in self._chunks:
                self._output.write(chunk)
                del chunk  # It is large, and the next may be long in coming.
        except BaseException as error:
            self._chunks.close(error)
