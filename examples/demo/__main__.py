"""``python -m examples.demo``: what ``make demo`` runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from examples.demo.clip import FRAME_RATE, DemoClip
from examples.demo.run import Scores, compare, name_files, paint, restore_source
from vsr.cli.progress import progress_bar
from vsr.errors import VSRError
from vsr.offline.pipeline import Summary


@click.command(context_settings={"show_default": True})
@click.option("--video", metavar="FILE", help="Restore the beginning of this instead of a clip.")
@click.option("--folder", default="demo", type=click.Path(path_type=Path), help="Results go here.")
@click.option("--seconds", default=4.0, type=click.FloatRange(min=0.1), help="Length.")
def demo(video: str | None, folder: Path, seconds: float) -> None:
    """Paint a clip, compress it to 320x180, restore it, and show the difference."""
    try:
        run_demo(video, folder, seconds)
    except VSRError as error:
        click.echo(f"vsr: {error}", err=True)
        sys.exit(error.exit_code)


def run_demo(video: str | None, folder: Path, seconds: float) -> None:
    """Run all steps, and print after each the files that it wrote.

    Raises:
        VSRError: A step failed, for the reason given in one line.
    """
    files = name_files(folder, video)
    clip = None
    if video is None:
        click.echo(f"painting  {files.source}")
        clip = DemoClip()
        paint(files, clip, max(1, round(seconds * FRAME_RATE)))
    click.echo(f"restoring {files.source}, its first {seconds:g} s at most")
    with progress_bar() as on_progress:
        summary = restore_source(files, end_s=seconds, on_progress=on_progress)
    click.echo(f"          {_describe(summary)}")
    click.echo(f"comparing {files.comparison}")
    scores = compare(files, end_s=seconds, clip=clip)
    click.echo(f"          {files.details}")
    if scores is not None:
        click.echo(_table(scores))


def _describe(summary: Summary) -> str:
    return f"{summary.output}: {summary.frames_out} frames, {summary.fps:.1f} frames/s"


def _table(scores: Scores) -> str:
    return (
        f"\nPSNR of Y against the ground truth, mean of {scores.frames} frames as decoded\n"
        f"  input, bicubic x4  {scores.upscaled:6.2f} dB\n"
        f"  restored           {scores.restored:6.2f} dB"
    )


if __name__ == "__main__":
    demo()
