"""``vsr restore`` of a folder of videos."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import TypeVar

import click

from vsr.cli.progress import progress_bar
from vsr.cli.signals import INTERRUPTED, stop_on_signal
from vsr.cli.tables import print_table
from vsr.errors import ConfigurationError, VSRError
from vsr.offline.folder import Job, Outcome, list_jobs, run_jobs
from vsr.offline.options import RestoreOptions
from vsr.offline.preview import picture_name
from vsr.results import DEFAULT_DOING, Progress, Summary
from vsr.resume.compatibility import is_done
from vsr.streams.names.image_sequence import names_images

T = TypeVar("T")

FILMS_AT_ONCE = 4
"""Films that several workers share at a time: while one is read or joined, they restore others."""


class FolderNotes(logging.Filter):
    """Names the video in each note of a folder's run.

    Several videos may be restored at a time, a thread each.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.local()

    @property
    def video(self) -> str:
        """Name of the video that the calling thread restores now."""
        name: str = getattr(self._thread, "video", "")
        return name

    @video.setter
    def video(self, name: str) -> None:
        self._thread.video = name

    def filter(self, record: logging.LogRecord) -> bool:
        note = record.getMessage()
        record.msg, record.args = f"{self.video}: {note}" if self.video else note, ()
        return True


@contextmanager
def naming_notes() -> Iterator[FolderNotes]:
    """Pass the notes of a folder's run through one ``FolderNotes``."""
    notes, handlers = FolderNotes(), list(logging.getLogger().handlers)
    for handler in handlers:
        handler.addFilter(notes)
    try:
        yield notes
    finally:
        for handler in handlers:
            handler.removeFilter(notes)


def restore_folder(
    source: str, target: str, options: RestoreOptions, *, as_json: bool, quiet: bool
) -> int:
    """Restore every video of a folder and print a table; the exit code tells if one failed."""
    jobs = _jobs(source, target, options)

    def say(outcome: Outcome) -> None:
        if outcome.error:
            click.echo(f"vsr: {outcome.error}", err=True)

    with (
        stop_on_signal() as stop,
        naming_notes() as notes,
        _restorer(jobs, options, stop, hidden=quiet or as_json) as restore_one,
    ):

        def run(job: Job) -> Summary:
            notes.video = job.name
            return restore_one(job)

        outcomes = run_jobs(
            jobs,
            run,
            overwrite=options.overwrite,
            resume=options.resume,
            stop=stop,
            on_outcome=say,
            at_once=FILMS_AT_ONCE if _is_shared(options) else 1,
        )
        interrupted = stop.is_set()
    if as_json:
        click.echo(json.dumps([asdict(outcome) for outcome in outcomes]))
    elif not quiet:
        rows = [(o.name, o.state, str(o.frames), f"{o.seconds:.1f}") for o in outcomes]
        print_table(("video", "state", "frames", "seconds"), rows)
    if interrupted:
        return INTERRUPTED
    return int(any(outcome.state == "failed" for outcome in outcomes))


def _is_shared(options: RestoreOptions) -> bool:
    return options.cluster is not None or bool(options.devices)


@contextmanager
def _restorer(
    jobs: list[Job], options: RestoreOptions, stop: threading.Event, *, hidden: bool
) -> Iterator[Callable[[Job], Summary]]:
    """Function that restores one job: in this process, or all on the same workers."""
    from vsr.cluster.restore import open_pool, restore

    if not (_is_shared(options) and jobs):

        def alone(job: Job) -> Summary:
            with progress_bar(hidden=hidden) as bar:
                given = _options_of(job, options)
                return restore(job.source, job.target, given, on_progress=bar, stop=stop)

        yield alone
        return
    with open_pool(options, jobs[0].target) as pool, progress_bar(hidden=hidden) as bar:
        total = _JointProgress(bar)

        def shared(job: Job) -> Summary:
            given, show = _options_of(job, options), partial(total.show, job.name)
            return restore(job.source, job.target, given, on_progress=show, stop=stop, pool=pool)

        yield shared


class _JointProgress:
    """One bar for several films.

    Args:
        bar: Bar that shows the sum.
    """

    def __init__(self, bar: Callable[[Progress], None]) -> None:
        self._bar, self._lock = bar, threading.Lock()
        self._films: dict[str, Progress] = {}
        self._started = time.perf_counter()

    def show(self, name: str, progress: Progress) -> None:
        """Show the progress of one of them."""
        if progress.doing != DEFAULT_DOING:
            return
        with self._lock:
            self._films[name] = progress
            films = self._films.values()
            self._bar(
                Progress(
                    frames=sum(film.frames for film in films),
                    total=sum(film.total or film.frames for film in films),
                    seconds=time.perf_counter() - self._started,
                    resumed=sum(film.resumed for film in films),
                    workers=progress.workers,
                )
            )


def estimate_folder(source: str, target: str, options: RestoreOptions, *, as_json: bool) -> int:
    """Print an estimate for every video of a folder."""
    from vsr.offline.estimate import Estimate, estimate

    jobs = _jobs(source, target, options)
    allowed = {"overwrite": options.overwrite, "resume": options.resume}
    skipped: set[str] = set()

    def estimate_one(job: Job) -> Estimate | None:
        if is_done(job.target, **allowed):
            skipped.add(job.name)
            return None
        return estimate(job.source, job.target, _options_of(job, options))

    found = dict(_each(jobs, estimate_one))
    states = {
        job.name: "skipped" if job.name in skipped else "to do" if found[job.name] else "failed"
        for job in jobs
    }
    if as_json:
        facts = {name: forecast and asdict(forecast) for name, forecast in found.items()}
        listed = [{"name": n, "state": states[n], "forecast": facts[n]} for n in states]
        click.echo(json.dumps(listed))
    else:
        cells = {name: forecast.cells() for name, forecast in found.items() if forecast}
        rows = [(name, states[name], *cells.get(name, ())) for name in states]
        print_table(("video", "state", "input", "output", "time"), rows)
    return int("failed" in states.values())


def preview_folder(
    source: str, target: str, moment_s: float, options: RestoreOptions, *, as_json: bool
) -> int:
    """Write a preview of one moment of every video of a folder."""
    from vsr.offline.preview import preview

    def preview_one(job: Job) -> str | None:
        picture_name(job.target).parent.mkdir(parents=True, exist_ok=True)
        return preview(job.source, job.target, moment_s, _options_of(job, options))

    written = dict(_each(_jobs(source, target, options), preview_one))
    if as_json:
        click.echo(json.dumps([{"name": n, "output": picture} for n, picture in written.items()]))
    else:
        click.echo("\n".join(filter(None, written.values())))
    return int(None in written.values())


def _jobs(source: str, target: str, options: RestoreOptions) -> list[Job]:
    jobs = list_jobs(source, target)
    if options.frame_rate and not any(names_images(job.source) for job in jobs):
        raise ConfigurationError(
            f"a frame rate is for images, {source!r} holds videos only; leave --frame-rate out"
        )
    return jobs


def _options_of(job: Job, options: RestoreOptions) -> RestoreOptions:
    """The options of one job: only images get a frame rate."""
    return options if names_images(job.source) else replace(options, frame_rate=None)


def _each(jobs: list[Job], do: Callable[[Job], T]) -> Iterator[tuple[str, T | None]]:
    """The result of each job; None, and a line on stderr, where it fails."""
    for job in jobs:
        try:
            yield job.name, do(job)
        except (VSRError, OSError) as error:
            click.echo(f"vsr: {error}", err=True)
            yield job.name, None
