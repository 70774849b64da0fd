"""Prometheus metrics, by the official client library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from vsr.live.monitor.figures import BOUNDS_S, Figures

COUNTERS = {
    "frames_in": "Frames that arrived.",
    "frames_out": "Frames that left, held ones included.",
    "restored": "Frames that the network restored.",
    "passed_through": "Frames that were only enlarged.",
    "skipped": "Frames that were left out.",
    "held": "Frames that filled gaps of the source.",
    "late": "Frames that took longer than the latency asked for.",
    "corrupt": "Packets and frames that were damaged.",
    "reconnects": "Connections to the source after the first.",
    "fallbacks": "Times the fallback took the place of the source.",
    "reopened": "Times sinks were opened after the first.",
    "lost_packets": "Coded packets that a sink missed.",
    "level_changes": "Times the quality level changed.",
    "bit_rate_cuts": "Times the bit rate was lowered for a congested sink.",
    "faces": "Faces that were restored, once in every frame.",
    "faces_left_out": "Faces for which there was no time beside others in their frame.",
    "without_faces": "Frames in which there was no time for faces.",
    "jumps": "Discontinuities of the source's timestamps.",
}
"""Fields of ``StreamCounts``; every one is exported."""


def registry_of(figures: Sequence[Figures]) -> CollectorRegistry:
    """A registry of the streams' figures and of the process."""
    registry = CollectorRegistry()
    registry.register(_Streams(figures))
    ProcessCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """The metrics in Prometheus's text format."""
    return generate_latest(registry)


class _Streams(Collector):
    def __init__(self, figures: Sequence[Figures]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        for field, text in COUNTERS.items():
            counter = CounterMetricFamily(f"vsr_{field}", text, labels=["stream"])
            for one in self._figures:
                counter.add_metric([one.name], getattr(one.tally, field))
            yield counter
        yield self._queues()
        yield self._up()
        yield from self._others()
        yield from self._sinks()
        yield self._latencies()

    def _queues(self) -> Metric:
        gauge = GaugeMetricFamily("vsr_queue_depth", "What waits.", labels=["stream", "queue"])
        for one in self._figures:
            gauge.add_metric([one.name, "source"], one.source_queue)
            gauge.add_metric([one.name, "sink"], one.sink_queue)
        return gauge

    def _up(self) -> Metric:
        gauge = GaugeMetricFamily(
            "vsr_running", "Whether frames arrive: 1, or 0.", labels=["stream"]
        )
        for one in self._figures:
            gauge.add_metric([one.name], one.state == "running")
        return gauge

    def _others(self) -> Iterable[Metric]:
        labels = ["stream"]
        limit = GaugeMetricFamily(
            "vsr_bit_rate_limit", "Bits per second of the picture; 0: no limit.", labels=labels
        )
        fallback = GaugeMetricFamily(
            "vsr_on_fallback", "Whether the fallback is shown: 1, or 0.", labels=labels
        )
        for one in self._figures:
            limit.add_metric([one.name], one.bit_rate_limit or 0)
            fallback.add_metric([one.name], one.on_fallback)
        return [limit, fallback]

    def _sinks(self) -> Iterable[Metric]:
        labels = ["stream", "sink"]
        is_open = GaugeMetricFamily("vsr_sink_open", "Whether a sink takes packets.", labels=labels)
        lost = CounterMetricFamily(
            "vsr_sink_lost_packets", "Encoded packets that a sink missed.", labels=labels
        )
        lag = GaugeMetricFamily("vsr_sink_lag_seconds", "What waits for a sink.", labels=labels)
        for one in self._figures:
            for sink in one.sinks:
                is_open.add_metric([one.name, sink.role], sink.state == "open")
                lost.add_metric([one.name, sink.role], sink.lost_packets)
                lag.add_metric([one.name, sink.role], sink.lag_s)
        return [is_open, lost, lag]

    def _latencies(self) -> Metric:
        histogram = HistogramMetricFamily(
            "vsr_latency_seconds", "From arrival until a frame leaves.", labels=["stream"]
        )
        names = [*map(str, BOUNDS_S), "+Inf"]
        for one in self._figures:
            counts = accumulate(one.buckets)
            buckets = list(zip(names, counts, strict=True))
            histogram.add_metric([one.name], buckets, sum_value=one.latency_sum_s)
        return histogram
