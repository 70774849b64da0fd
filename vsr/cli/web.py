"""``vsr web``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import click

from vsr.cli.parameters import BYTE_SIZE
from vsr.cli.signals import INTERRUPTED, stop_on_signal
from vsr.cli.startup import loading
from vsr.extras import needs_web

REMOTE = (
    "other machines that reach this one can use the page: all who have its address with the token "
    "see all films of the folder and can start restorations. The connection is not encrypted; "
    "`ssh -L` is safer"
)


@click.command()
@click.argument(
    "folder", default=".", type=click.Path(file_okay=False, exists=True, path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where results, the queue and dropped films go.  [default: `restored` in FOLDER]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="[default: a free one]")
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Let other machines use the page, on all addresses unless --host names one.",
)
@click.option(
    "--token",
    metavar="SECRET",
    help="The secret in the page's address, better set by VSR_WEB_TOKEN.  [default: a new one]",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    default=("auto",),
    show_default=True,
    metavar="NAME",
    help="See `restore`; give it several times to restore a film on each.",
)
@click.option(
    "--max-upload",
    "max_upload_bytes",
    type=BYTE_SIZE,
    default="20G",
    show_default=True,
    help="Largest film that can be dropped on the page.",
)
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="Remove dropped films after so many days; those of FOLDER are never touched.",
)
def web(**given: Any) -> int:
    """Serve a page that shows, previews and restores the films of FOLDER.

    Prints the page's address, which holds a secret: only who has it can use the page, and only on
    this machine. Films can be dropped on the page, too. Ctrl-C ends the server; restorations that
    run are interrupted and continue when it is started again.

    \b
    vsr web films/
    vsr web films/ --out /disk/restored --port 8080 --device cuda:0 --device cuda:1
    """
    with needs_web("`vsr web`"):
        from vsr.web.server import ServerOptions, serve
    options = ServerOptions(**given)
    if options.allow_remote:
        click.echo(f"vsr: {REMOTE}", err=True)
    with stop_on_signal() as stop:
        serve(options, on_start=click.echo)
    return INTERRUPTED if signal.SIGINT in stop.received else 0


@click.command("side-by-side", hidden=True)
@click.argument("request")
def side_by_side(request: str) -> None:
    """Write a video of input and result for the page of ``vsr web``; all fields are JSON."""
    with loading():
        from vsr.web.side_by_side import answer
    click.echo(answer(request))
