"""Whether the streams and their sinks work.

live   no stream has failed or hangs, and no sink was given up: a restart would not help
ready  besides, every stream receives frames and every sink takes them
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from vsr.live.monitor.figures import Figures

HANGS_S = 60.0
"""A stream whose thread does nothing for longer hangs; planning for a new size takes seconds."""


def is_live(figures: Iterable[Figures]) -> bool:
    """Whether nothing has ended that should run."""
    return all(one.state != "failed" and not hangs(one) and _kept(one) for one in figures)


def is_ready(figures: Iterable[Figures]) -> bool:
    """Whether every stream runs from its source to all of its sinks."""
    return all(_runs(one) for one in figures)


def health(figures: Iterable[Figures]) -> dict[str, Any]:
    """The state of every stream and of its sinks, for JSON."""
    return {
        one.name: {"state": one.state, "sinks": {sink.role: sink.state for sink in one.sinks}}
        for one in figures
    }


def _kept(figures: Figures) -> bool:
    return all(sink.state != "given up" for sink in figures.sinks)


def hangs(figures: Figures) -> bool:
    """Whether a stream's thread has stopped doing anything."""
    return figures.state in {"running", "away"} and time.monotonic() - figures.seen_at > HANGS_S


def _runs(figures: Figures) -> bool:
    is_open = all(sink.state == "open" for sink in figures.sinks)
    return figures.state == "running" and is_open and not hangs(figures)
