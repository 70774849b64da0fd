"""What is known of a running stream, for all who look at it."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor

RECENT = 500
"""Frames that percentiles and rates are taken of."""

BOUNDS_S = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Upper bounds of the latency histogram's buckets."""


@dataclass(kw_only=True)
class StreamCounts:
    """Counts of one stream, since it began.

    Attributes:
        frames_in: Frames that arrived.
        frames_out: Frames that left, held ones included.
        restored: Frames that the network restored.
        passed_through: Frames that were only enlarged.
        skipped: Frames that were left out, because they could not leave in time.
        held: Frames that filled gaps of the source.
        late: Frames that took longer than the latency asked for.
        corrupt: Packets and frames that did not decode, or only with damage.
        reconnects: Connections to the source after the first.
        reopened: Times sinks were opened after the first.
        lost_packets: Coded packets that a sink missed.
        jumps: Times that the source's times did not go on.
    """

    frames_in: int = 0
    frames_out: int = 0
    restored: int = 0
    passed_through: int = 0
    skipped: int = 0
    held: int = 0
    late: int = 0
    corrupt: int = 0
    reconnects: int = 0
    reopened: int = 0
    lost_packets: int = 0
    jumps: int = 0


@dataclass(kw_only=True, eq=False)
class Figures:
    """One stream as it is seen from outside; written by its thread, read by any.

    Attributes:
        name: Of the stream.
        tally: Counts.
        state: ``connecting``, ``running``, ``away`` (the source is gone), ``ended`` or ``failed``.
        level: Name of the step of quality.
        sizes: Of input and output, as text.
        source_queue: Frames that wait to be restored.
        sink_queue: Packets that wait for the slowest sink.
        buckets: Latencies by ``BOUNDS_S``, not cumulative, the last beyond all.
        latency_sum_s: Of all latencies.
        before: The latest frame that came, (3, H, W).
        after: The latest frame that went to the encoder, likewise.
    """

    name: str
    tally: StreamCounts = field(default_factory=StreamCounts)
    state: str = "connecting"
    level: str = "full"
    sizes: str = ""
    source_queue: int = 0
    sink_queue: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    latency_sum_s: float = 0.0
    before: Tensor | None = None
    after: Tensor | None = None
    began: float = field(default_factory=time.monotonic)
    _recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note_emitted(self, latency_s: float, budget_s: float) -> None:
        """Note a frame that left, and how long it took."""
        place = sum(latency_s > bound for bound in BOUNDS_S)
        with self._lock:
            self.buckets[place] += 1
            self.latency_sum_s += latency_s
            self._recent.append((time.monotonic(), latency_s))
        self.tally.late += latency_s > budget_s

    def latency_s(self, share: float) -> float:
        """The latency that a share of the recent frames stayed under."""
        with self._lock:
            latencies = sorted(latency for _, latency in self._recent)
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else 0.0

    def fps(self) -> float:
        """Recent frames a second."""
        with self._lock:
            if len(self._recent) < 2:
                return 0.0
            first, last = self._recent[0][0], self._recent[-1][0]
            return (len(self._recent) - 1) / (last - first) if last > first else 0.0

    def plain(self) -> dict[str, Any]:
        """All but the pictures, for JSON."""
        return {
            "name": self.name,
            "state": self.state,
            "level": self.level,
            "sizes": self.sizes,
            "fps": round(self.fps(), 1),
            "latency_ms": round(1000 * self.latency_s(0.5)),
            "latency_p99_ms": round(1000 * self.latency_s(0.99)),
            "source_queue": self.source_queue,
            "sink_queue": self.sink_queue,
            "uptime_s": round(time.monotonic() - self.began, 1),
            **asdict(self.tally),
        }
