"""``vsr assess``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli.parameters import MEDIA, Moment
from vsr.cli.signals import INTERRUPTED, stop_on_signal
from vsr.cli.tables import print_table

if TYPE_CHECKING:
    from vsr.assessment.assess import Assessment


@click.command()
@click.argument("source", type=MEDIA)
@click.option("--start", type=Moment(), help="Assess from this time on.")
@click.option("--end", type=Moment(), help="Assess up to this time.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write a page, with pictures of what looks worst.",
)
@click.option(
    "--assessor",
    type=MEDIA,
    metavar="FILE",
    help="Weights of your own, from `vsr train configs/assess.toml`.",
)
def assess(
    source: str,
    start: float | None,
    end: float | None,
    as_json: bool,
    html: Path | None,
    assessor: str | None,
) -> int:
    """Print the damage in SOURCE, scene by scene: severities from 0 to 1.

    \b
    coding    coarse quantisation: blocks, ringing, smeared detail
    noise     noise or grain
    blur      defocus and motion blur
    enlarged  fewer real pixels than the frame has: 0.5 is enlarged by 2, 1 by 4
    combing, telecine, banding, flicker, frozen (repeated frames), exposure, colour_noise

    Ctrl-C ends early and prints the scenes so far.

    \b
    vsr assess film.mkv
    vsr assess film.mkv --start 1:00 --end 2:00 --json
    vsr assess film.mkv --html film.html
    """
    from vsr.assessment.assess import assess as run
    from vsr.assessment.regression import WEIGHTS
    from vsr.cli.progress import progress_bar
    from vsr.evaluation.assessment_page import WorstWindows, write_page

    windows = WorstWindows()
    with stop_on_signal() as stop, progress_bar(hidden=as_json) as on_progress:
        assessment = run(
            source,
            start_s=start,
            end_s=end,
            on_progress=on_progress,
            on_worst=None if html is None else windows.add,
            assessor=WEIGHTS if assessor is None else Path(assessor),
            stop=stop,
        )
    if stop.is_set() and not assessment.scenes:
        raise click.Abort
    if html is not None:
        write_page(assessment, windows, html)
    if as_json:
        click.echo(json.dumps(assessment.to_json()))
    else:
        _show(assessment)
    return INTERRUPTED if stop.is_set() else 0


def _show(assessment: Assessment) -> None:
    from vsr.assessment.scene import KINDS

    rows = []
    for scene in assessment.scenes:
        severities = [f"{scene.findings[kind].severity:.2f}" for kind in KINDS]
        qp = "-" if scene.qp is None else f"{scene.qp:.0f}"
        rows.append([f"{scene.start_s:.2f}", str(scene.frames), qp, *severities])
    print_table(["from s", "frames", "QP", *KINDS], rows)
    click.echo(f"\n{assessment.source}: {assessment.summary()}")
