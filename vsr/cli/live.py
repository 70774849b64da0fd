"""``vsr live``."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.address import redact
from vsr.cli.parameters import (
    BYTE_SIZE,
    DURATION,
    MEDIA,
    PRECISIONS,
    Arguments,
    complete_model,
    face_detector_option,
    face_model_option,
    fidelity_option,
    skip_still_option,
    steady_option,
)
from vsr.cli.signals import INTERRUPTED, stop_on_signal
from vsr.cli.startup import LIVE_MMAP_THRESHOLD, loading, set_mmap_threshold
from vsr.live.limits import MAX_PIXELS
from vsr.live.monitor.log_filter import redacting
from vsr.models.catalogue import DEFAULT_MODEL
from vsr.models.checkpoints.face_zoo import DEFAULT_FACES

if TYPE_CHECKING:
    from vsr.live.check import Finding


class Retries(click.ParamType["int | None"]):
    """A number of attempts, or the word for unlimited."""

    name = "number|endless"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        if value is None or str(value).lower() == "endless":
            return None
        if not str(value).isdecimal():
            self.fail(f"{value!r} is not a number of attempts; give 0 or more, or endless")
        return int(value)


@click.command()
@click.argument("source", required=False, type=MEDIA)
@click.argument("target", required=False, type=MEDIA)
@click.option(
    "--streams",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Several streams from a TOML file, instead of SOURCE and TARGET.",
)
@click.option(
    "-m",
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    shell_complete=complete_model,
    help="A name that `vsr models` lists, or a checkpoint file.",
)
@click.option("--weights", type=MEDIA, metavar="FILE", help="A checkpoint for that model.")
@fidelity_option
@click.option(
    "--guard-artifacts",
    is_flag=True,
    help="See `restore`; a second network, only where it is asked for.",
)
@steady_option
@skip_still_option
@click.option(
    "--faces",
    is_flag=True,
    help="Restore faces, too, where there is time: they are what is left out first.",
)
@face_model_option
@face_detector_option
@click.option("--device", default="auto", show_default=True, metavar="NAME")
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(PRECISIONS),
)
@click.option(
    "--latency",
    "latency_s",
    type=DURATION,
    default="800ms",
    show_default=True,
    help="From a frame's arrival until it leaves, encoded.",
)
@click.option(
    "--on-overload",
    type=click.Choice(["degrade", "skip", "block"]),
    default="degrade",
    show_default=True,
    help="Lower the quality, leave frames out, or let the source wait.",
)
@click.option(
    "--listen",
    is_flag=True,
    help="Wait at SOURCE for a publisher that knows its key.",
)
@click.option("--record", type=MEDIA, metavar="FILE", help="Write a copy of the output.")
@click.option(
    "--record-segment",
    "record_segment_s",
    type=DURATION,
    help="Cut the record into files of that length, named after their beginning.",
)
@click.option("--record-age", "record_age_s", type=DURATION, help="How long such files are kept.")
@click.option(
    "--record-size",
    "record_bytes",
    type=BYTE_SIZE,
    help="What they may take together; the oldest are removed.",
)
@click.option(
    "--retries",
    type=Retries(),
    default="endless",
    show_default=True,
    help="How often in a row source and sink may fail.",
)
@click.option(
    "--fallback",
    type=MEDIA,
    metavar="URL",
    help="Shown while SOURCE is gone: another address, or a file, repeated.",
)
@click.option(
    "--slate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PICTURE",
    help="Shown while every source is gone.  [default: the last frame]",
)
@click.option("--status", metavar="ADDRESS:PORT", help="Serve figures and a page there.")
@click.option(
    "--status-token",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Holds the secret that requests for figures bring; needed beyond 127.0.0.1.",
)
@click.option("--encoder", metavar="NAME", help="A video encoder of ffmpeg.")
@click.option("--encode-args", type=Arguments(), default=(), metavar='"ARGS"')
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    help="Width times height of the source's frames at most.",
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Authorities that certificates are verified by.  [default: the system's]",
)
@click.option("--insecure", is_flag=True, help="Verify no certificate.")
@click.option("--check", is_flag=True, help="Only try everything, and say what will happen.")
@click.option("-y", "--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print the last figures as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No status line, no summary.")
def live(
    source: str | None,
    target: str | None,
    streams: Path | None,
    faces: bool,
    face_model: str | None,
    check: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Restore the running stream SOURCE into TARGET, and keep running.

    SOURCE is an address (rtmp, srt, udp, http, HLS), a camera (/dev/video0) or a file, which is
    read in real time. TARGET is rtmp, srt, udp, a .m3u8 playlist or a file. SIGTERM and Ctrl-C
    close the output in order.

    --check tries source, speed, latency and sinks for some seconds: an address is sent to, a file
    written under another name and removed. Exit code 0 if all do what is asked for, 1 otherwise.

    \b
    vsr live rtmp://host/app/in rtmp://host/app/out --latency 800ms
    vsr live rtmp://0.0.0.0:1935/app/in out.m3u8 --listen --record copy.mkv
    vsr live --streams streams.toml --status 127.0.0.1:9100
    """
    wanted = (source, target) if streams is None else (streams,)
    if None in wanted or (streams is not None and source is not None):
        raise click.UsageError("give SOURCE and TARGET, or --streams FILE")
    detector = options["face_detector"]
    options["faces"] = face_model or (DEFAULT_FACES if faces or detector else None)
    set_mmap_threshold(LIVE_MMAP_THRESHOLD)
    with stop_on_signal() as stop, redacting():
        with loading():
            from vsr.live.service import check_live, run_live

        if check:
            given = {key: value for key, value in options.items() if not key.startswith("status")}
            findings = check_live(source, target, streams, stop=stop, **given)
            code = _report(findings, as_json=as_json)
            if stop.is_set():
                raise click.Abort
            return code
        figures = run_live(
            source, target, streams, stop=stop, quiet=quiet or as_json, say=_say, **options
        )
    if as_json:
        click.echo(json.dumps([one.plain() for one in figures]))
    if signal.SIGINT in stop.received:
        return INTERRUPTED
    return 1 if any(one.state == "failed" for one in figures) else 0


def _report(findings: Iterable[tuple[str, Finding]], *, as_json: bool) -> int:
    """Print the findings of a check as they come; returns the exit code."""
    found = []
    for name, finding in findings:
        found.append({"stream": name, **asdict(finding)})
        if not as_json:
            line = f"{'ok' if finding.works else 'no':3} {name} {finding.what}: {finding.text}"
            click.echo(redact(line))
    if as_json:
        click.echo(redact(json.dumps(found)))
    return 0 if all(one["works"] for one in found) else 1


def _say(sentence: str) -> None:
    click.echo(f"vsr: {redact(sentence)}", err=True)
