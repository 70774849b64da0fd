"""Counts and figures of a live stream."""

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
    """Counts of one stream since its start.

    Attributes:
        frames_in: Frames received.
        frames_out: Frames emitted, including held ones.
        restored: Frames restored by the network.
        passed_through: Frames enlarged without the network.
        skipped: Frames dropped because they were too late.
        held: Repeated frames that filled gaps of the source.
        late: Frames that exceeded the latency.
        corrupt: Damaged packets and frames.
        reconnects: Connections to the source after the first.
        fallbacks: Times the fallback took the place of the source.
        reopened: Times sinks were reopened.
        lost_packets: Encoded packets that a sink missed.
        jumps: Discontinuities of the source's timestamps.
        level_changes: Times the quality level changed.
        bit_rate_cuts: Times the bit rate was lowered for a congested sink.
        faces: Faces restored, once in every frame.
        faces_left_out: Faces for which there was no time in a frame that had others restored.
        without_faces: Frames in which there was no time to look for faces.
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
    fallbacks: int = 0
    reopened: int = 0
    lost_packets: int = 0
    jumps: int = 0
    level_changes: int = 0
    bit_rate_cuts: int = 0
    faces: int = 0
    faces_left_out: int = 0
    without_faces: int = 0


@dataclass(kw_only=True)
class SinkFigures:
    """Figures of one sink.

    Attributes:
        role: ``target`` or ``record``.
        name: The address without its secrets, or the file.
        state: ``waiting`` (nothing was encoded yet), ``open``, ``missing`` (it is opened again),
            ``given up`` or ``ended``.
        queue: Packets waiting for it.
        lag_s: Stream time between the last packet it has taken and the last one encoded.
        reopened: Times it was reopened.
        lost_packets: Encoded packets that it missed.
        segments: Files of a record in segments that are whole.
    """

    role: str
    name: str
    state: str = "waiting"
    queue: int = 0
    lag_s: float = 0.0
    reopened: int = 0
    lost_packets: int = 0
    segments: int = 0


@dataclass(kw_only=True, eq=False)
class Figures:
    """Figures of one stream; written by its thread, read by any.

    Attributes:
        name: Name of the stream.
        tally: Counts.
        state: ``connecting``, ``running``, ``away`` (the source is lost), ``ended`` or ``failed``.
        on_fallback: Whether the fallback is shown in place of the source.
        level: Name of the quality level.
        sizes: Input and output size, as text.
        lead_s: How far the output is ahead of the wall clock, beyond its beginning.
        bit_rate_limit: Bits per second that the picture gets at most; None for no limit.
        source_queue: Frames waiting to be restored.
        sink_queue: Packets waiting for the slowest sink.
        sinks: One for every sink, the target first.
        seen_at: Time of the last update by the stream's thread, on the monotonic clock.
        buckets: Latency histogram by ``BOUNDS_S``, not cumulative; the last is unbounded.
        latency_sum_s: Sum of all latencies.
        before: The latest input frame, (3, H, W).
        after: The latest frame sent to the encoder, (3, H, W).
    """

    name: str
    tally: StreamCounts = field(default_factory=StreamCounts)
    state: str = "connecting"
    on_fallback: bool = False
    level: str = "full"
    sizes: str = ""
    lead_s: float = 0.0
    bit_rate_limit: int | None = None
    source_queue: int = 0
    sink_queue: int = 0
    sinks: list[SinkFigures] = field(default_factory=list)
    seen_at: float = field(default_factory=time.monotonic)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    latency_sum_s: float = 0.0
    before: Tensor | None = None
    after: Tensor | None = None
    began: float = field(default_factory=time.monotonic)
    _recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note_emitted(self, latency_s: float, budget_s: float) -> None:
        """Count an emitted frame and its latency."""
        place = sum(latency_s > bound for bound in BOUNDS_S)
        with self._lock:
            self.buckets[place] += 1
            self.latency_sum_s += latency_s
            self._recent.append((time.monotonic(), latency_s))
        self.tally.late += latency_s > budget_s

    def latency_s(self, share: float) -> float:
        """A quantile of the recent latencies."""
        with self._lock:
            latencies = sorted(latency for _, latency in self._recent)
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else 0.0

    def fps(self) -> float:
        """Recent frames per second."""
        with self._lock:
            if len(self._recent) < 2:
                return 0.0
            first, last = self._recent[0][0], self._recent[-1][0]
            return (len(self._recent) - 1) / (last - first) if last > first else 0.0

    def plain(self) -> dict[str, Any]:
        """All figures except the pictures, for JSON."""
        return {
            "name": self.name,
            "state": self.state,
            "on_fallback": self.on_fallback,
            "level": self.level,
            "sizes": self.sizes,
            "fps": round(self.fps(), 1),
            "latency_ms": round(1000 * self.latency_s(0.5)),
            "latency_p99_ms": round(1000 * self.latency_s(0.99)),
            "lead_ms": round(1000 * self.lead_s),
            "bit_rate_limit": self.bit_rate_limit,
            "source_queue": self.source_queue,
            "sink_queue": self.sink_queue,
            "uptime_s": round(time.monotonic() - self.began, 1),
            "sinks": [asdict(sink) for sink in self.sinks],
            **asdict(self.tally),
        }
