"""What source and sinks have counted, for all who look at the stream."""

from __future__ import annotations

from collections.abc import Sequence

from vsr.live.input.source import Source
from vsr.live.monitor.figures import Figures
from vsr.live.output.sink import Outlet
from vsr.live.timing.clock import Clock


def count(figures: Figures, source: Source, clock: Clock, outlets: Sequence[Outlet]) -> None:
    """Bring a stream's figures up to date."""
    tally = figures.tally
    tally.corrupt, tally.reconnects = source.corrupt, source.reconnects
    tally.jumps = clock.jumps
    tally.reopened = sum(outlet.reopened for outlet in outlets)
    tally.lost_packets = sum(outlet.lost for outlet in outlets)
    figures.source_queue = source.depth
    figures.sink_queue = max(outlet.depth for outlet in outlets)
