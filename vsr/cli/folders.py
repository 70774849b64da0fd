"""``vsr restore`` of a folder of videos."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TypeVar

import click

from vsr.cli.progress import progress_bar
from vsr.cli.signals import INTERRUPTED, stop_on_signal
from vsr.cli.tables import print_table
from vsr.errors import ConfigurationError, VSRError
from vsr.offline.folder import Job, Outcome, list_jobs, run_jobs
from vsr.offline.options import RestoreOptions
from vsr.offline.preview import picture_name
from vsr.results import Summary
from vsr.resume.compatibility import is_done
from vsr.streams.decode.video_reader import MATRIX_ASSUMED
from vsr.streams.names.image_sequence import names_images

T = TypeVar("T")


class FolderNotes(logging.Filter):
    """Names the video in each note of a folder's run; what is assumed of most is said once.

    Attributes:
        video: Name of the video that is restored now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.video = ""
        self._assumed = False

    def filter(self, record: logging.LogRecord) -> bool:
        note = record.getMessage()
        known = self._assumed and note.startswith(MATRIX_ASSUMED)
        self._assumed |= note.startswith(MATRIX_ASSUMED)
        record.msg, record.args = f"{self.video}: {note}" if self.video else note, ()
        return not known


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
    from vsr.offline.job import restore as restore_one

    jobs = _jobs(source, target, options)
    with stop_on_signal() as stop, naming_notes() as notes:

        def run(job: Job) -> Summary:
            notes.video = job.name
            with progress_bar(hidden=quiet or as_json) as on_progress:
                return restore_one(
                    job.source,
                    job.target,
                    _options_of(job, options),
                    on_progress=on_progress,
                    stop=stop,
                )

        def say(outcome: Outcome) -> None:
            if outcome.said:
                click.echo(f"vsr: {outcome.said}", err=True)

        outcomes = run_jobs(
            jobs,
            run,
            overwrite=options.overwrite,
            resume=options.resume,
            stop=stop,
            on_outcome=say,
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


def estimate_folder(source: str, target: str, options: RestoreOptions, *, as_json: bool) -> int:
    """Print an estimate for every video of a folder."""
    from vsr.offline.estimate import Estimate, estimate

    jobs = _jobs(source, target, options)
    allowed = {"overwrite": options.overwrite, "resume": options.resume}
    skipped = {job.name for job in jobs if is_done(job.target, **allowed)}

    def foresee_one(job: Job) -> Estimate | None:
        if job.name in skipped:
            return None
        return estimate(job.source, job.target, _options_of(job, options))

    found = dict(_each(jobs, foresee_one))
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

    def preview_one(job: Job) -> str:
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
