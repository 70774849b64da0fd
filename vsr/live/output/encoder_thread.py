"""The writing thread: colours and the encoder's pipe beside the network."""

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
    """Writes chunks into an output, and times their frames.

    Args:
        figures: Told how long frames took.
        budget_s: The latency asked for.
    """

    def __init__(self, figures: Figures, budget_s: float) -> None:
        self._figures, self._budget_s = figures, budget_s
        self._chunks: StageQueue[Chunk] = StageQueue(QUEUED)
        self._arrived: deque[tuple[Fraction, float]] = deque()
        self._thread: threading.Thread | None = None

    def start(self, output: Output) -> None:
        """Write into this from now on."""
        self._output = output
        self._thread = threading.Thread(target=self._run, name="vsr-live-write", daemon=True)
        self._thread.start()

    def note(self, moment: Fraction, at: float) -> None:
        """A frame of this time in the output arrived then."""
        self._arrived.append((moment, at))

    def put(self, chunk: Chunk) -> None:
        """Append frames, waiting for room.

        Raises:
            VSRError: What the output failed with.
        """
        self._chunks.put(chunk)

    def left(self, moment: Fraction) -> None:
        """A picture of this time has left the encoder; called from a thread of the output's."""
        self._figures.tally.frames_out += 1
        while self._arrived and self._arrived[0][0] <= moment:
            time_of, at = self._arrived.popleft()
            if time_of == moment:
                self._figures.note_emitted(time.monotonic() - at, self._budget_s)

    def finish(self) -> None:
        """Write what waits.

        Raises:
            VSRError: What the output failed with.
        """
        self.abort()
        self._chunks.raise_error()

    def abort(self) -> None:
        """Write what waits, as far as that is possible; never raises."""
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
