"""The progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar

from vsr.results import DEFAULT_DOING, Progress

LINE_S = 10.0
"""Seconds between two lines of progress where there is no terminal."""

SHOWN_WORKERS = 4


def _progress_lines() -> Callable[[Progress], None]:
    """A progress callback that writes a line at intervals."""
    last, stage = 0.0, ""

    def show(progress: Progress) -> None:
        nonlocal last, stage
        if progress.doing != stage:  # its seconds begin anew
            last, stage = 0.0, progress.doing
        if progress.seconds - last < LINE_S:
            return
        last = progress.seconds
        fps = (progress.frames - progress.resumed) / progress.seconds
        of = f" of {progress.total}" if progress.total else ""
        rest = max(0, (progress.total or 0) - progress.frames) / fps if fps else 0.0
        left = f", {timedelta(seconds=round(rest))} left" if progress.total and fps else ""
        doing = "" if progress.doing == DEFAULT_DOING else f"{progress.doing}: "
        line = f"{doing}{progress.frames}{of} frames, {fps:.1f} frames/s{left}"
        click.echo(line + _rates(progress), err=True)

    return show


def _rates(progress: Progress) -> str:
    """The rates of a cluster's workers, the fastest first."""
    rates = sorted(progress.workers.items(), key=lambda worker: -worker[1])
    shown = [f"{name} {rate:.1f}" for name, rate in rates[:SHOWN_WORKERS]]
    more = [f"{len(rates) - SHOWN_WORKERS} more"] if len(rates) > SHOWN_WORKERS else []
    return f" ({', '.join(shown + more)})" if shown else ""


@contextmanager
def progress_bar(*, hidden: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A progress callback that shows frames, frames per second and the remaining time.

    Args:
        hidden: Show nothing. Where stderr is not a terminal, a line comes every ``LINE_S``.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} frames/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rates]}"),
    )
    if not hidden and not console.is_terminal:
        yield _progress_lines()
        return
    with Bar(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(DEFAULT_DOING, total=None, fps=0.0, rates="")

        def show(progress: Progress) -> None:
            done = progress.frames - progress.resumed
            fps = done / progress.seconds if progress.seconds else 0.0
            if not bar.tasks[task].total and not bar.tasks[task].completed:
                bar.reset(task, completed=progress.resumed)
            total = progress.total and max(progress.total, progress.frames)
            bar.update(
                task,
                description=progress.doing,
                completed=progress.frames,
                total=total,
                fps=fps,
                rates=_rates(progress),
            )

        yield show


@contextmanager
def download_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress callback for downloads: bytes so far and in total, None if unknown.

    Args:
        name: Name of the download. Nothing is shown if stderr is not a terminal.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield show
