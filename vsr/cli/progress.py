"""The progress bars on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

from vsr.results import Progress


@contextmanager
def progress_bar(*, hidden: bool = False) -> Iterator[Callable[[Progress], None]]:
    """A progress callback that shows frames, frames per second and the remaining time.

    Args:
        hidden: Show nothing; nothing is shown either if stderr is not a terminal.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} frames/s"),
        TimeRemainingColumn(),
    )
    hidden = hidden or not console.is_terminal
    with Bar(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task("restoring", total=None, fps=0.0)

        def show(progress: Progress) -> None:
            done = progress.frames - progress.resumed
            fps = done / progress.seconds if progress.seconds else 0.0
            if not bar.tasks[task].total and not bar.tasks[task].completed:
                bar.reset(task, completed=progress.resumed)
            total = progress.total and max(progress.total, progress.frames)
            bar.update(task, completed=progress.frames, total=total, fps=fps)

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
