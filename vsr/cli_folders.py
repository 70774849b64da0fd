"""``vsr restore`` of a folder of videos."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from vsr.folders import Job, Outcome, list_jobs, run_jobs
from vsr.interruption import INTERRUPTED, stop_on_interrupt
from vsr.progress import progress_bar
from vsr.streams.image_files import names_images
from vsr.summary import Summary
from vsr.tables import print_table


def restore_folder(
    source: str, target: str, options: dict[str, Any], *, as_json: bool, quiet: bool
) -> int:
    """Restore every video of a folder; print a table, and say by the exit code if one failed."""
    from vsr.restore import restore as restore_one

    jobs = list_jobs(source, target)
    with stop_on_interrupt() as stop:

        def run(job: Job) -> Summary:
            rate = options["frame_rate"] if names_images(job.source) else None
            with progress_bar(hidden=quiet or as_json) as on_progress:
                return restore_one(
                    job.source,
                    job.target,
                    on_progress=on_progress,
                    stop=stop,
                    **{**options, "frame_rate": rate},
                )

        def say(outcome: Outcome) -> None:
            if outcome.said:
                click.echo(f"vsr: {outcome.said}", err=True)

        outcomes = run_jobs(
            jobs,
            run,
            overwrite=bool(options.get("overwrite")),
            resume=bool(options.get("resume")),
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
