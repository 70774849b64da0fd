"""A status line on the terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from vsr.live.monitor.figures import Figures

EVERY_S = 0.5

_TROUBLE = frozenset({"missing", "given up"})


@contextmanager
def status_line(figures: Sequence[Figures], *, hidden: bool = False) -> Iterator[None]:
    """Show a line per stream while in this context; nothing if stderr is not a terminal."""
    console = Console(stderr=True)
    if hidden or not console.is_terminal:
        yield
        return
    ended = threading.Event()
    with Live(console=console, transient=True, auto_refresh=False) as shown:

        def refresh() -> None:
            while not ended.wait(EVERY_S):
                lines = "\n".join(sentence(one) for one in figures)
                shown.update(Text(lines, no_wrap=True, overflow="ellipsis"), refresh=True)

        thread = threading.Thread(target=refresh, name="vsr-live-line", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def sentence(figures: Figures) -> str:
    """Summary of a stream in one line."""
    tally = figures.tally
    words = [
        f"{figures.name}: {figures.state}{' on its fallback' if figures.on_fallback else ''}",
        f"{figures.fps():.1f} frames/s",
        f"{1000 * figures.latency_s(0.5):.0f} ms (99 %: {1000 * figures.latency_s(0.99):.0f})",
        figures.level,
        f"{tally.restored} restored",
    ]
    for count, what in (
        (tally.faces, "faces"),
        (tally.without_faces, "without faces"),
        (tally.faces_left_out, "faces left out"),
        (tally.passed_through, "passed through"),
        (tally.skipped, "left out"),
        (tally.late, "late"),
        (tally.held, "held"),
        (tally.corrupt, "damaged"),
        (tally.reconnects, "reconnects"),
        (tally.reopened, "sinks reopened"),
        (tally.bit_rate_cuts, "bit rate cuts"),
    ):
        if count:
            words.append(f"{count} {what}")
    words += [f"{sink.role} {sink.state}" for sink in figures.sinks if sink.state in _TROUBLE]
    return ", ".join(words)
