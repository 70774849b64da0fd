"""``vsr degrade``."""

from __future__ import annotations

import click

from vsr.cli.signals import INTERRUPTED, stop_on_signal

PRESET_NAMES = ("phone", "web", "dvd", "vhs")
"""Written out, so that the help needs no torch; a test holds them to the table."""


@click.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "--preset",
    required=True,
    type=click.Choice(PRESET_NAMES),
    help="phone: soft, noisy, sharpened, H.264; web: H.264 at crf 30; dvd: MPEG-2; "
    "vhs: smeared colours, trembling lines, noise, MPEG-2.",
)
@click.option(
    "--scale",
    type=click.IntRange(1, 8),
    default=1,
    show_default=True,
    metavar="N",
    help="Reduce the picture N times first.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="The same seed gives the same pictures."
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace a target that exists.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def degrade(
    source: str, target: str, preset: str, scale: int, seed: int, overwrite: bool, quiet: bool
) -> int:
    """Degrade SOURCE as a phone, a web site, a DVD or a tape does, to try restoration.

    \b
    vsr degrade film.mkv worse.mp4 --preset web --scale 4
    """
    from vsr.cli.progress import progress_bar
    from vsr.offline.degrade import degrade as degrade_video
    from vsr.streams.names.container import PIPE

    with stop_on_signal() as stop, progress_bar(hidden=quiet) as on_progress:
        written = degrade_video(
            source,
            target,
            preset=preset,
            scale=scale,
            seed=seed,
            overwrite=overwrite,
            on_progress=on_progress,
            stop=stop,
        )
    if not written:
        raise click.Abort
    click.echo(written, err=target == PIPE)
    return INTERRUPTED if stop.is_set() else 0
