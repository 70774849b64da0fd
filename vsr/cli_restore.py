"""``vsr restore``."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

import click

from vsr.models.catalogue import DEFAULT_MODEL
from vsr.pipeline import Summary
from vsr.progress import progress_bar
from vsr.restorer import FULL

INTERRUPTED = 130


class Moment(click.ParamType["float"]):
    """Seconds, or HH:MM:SS.mmm, as seconds."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        try:
            parts = [float(part) for part in str(value).split(":")]
        except ValueError:
            parts = []
        if not 1 <= len(parts) <= 3 or any(not part >= 0 for part in parts):
            self.fail(f"{value!r} is not a time; give seconds (12.5) or HH:MM:SS (00:00:12.5)")
        return float(sum(part * 60.0**i for i, part in enumerate(reversed(parts))))


class LookAhead(click.ParamType["int | str"]):
    """A number of frames, or the word for all of them."""

    name = f"frames|{FULL}"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if value == FULL or isinstance(value, int):
            return FULL if value == FULL else int(value)
        if not str(value).isdecimal():
            self.fail(f"{value!r} is not a look-ahead; give 0 or more frames, or {FULL}")
        return int(value)


class Arguments(click.ParamType["tuple[str, ...]"]):
    """Words as a shell would split them."""

    name = "arguments"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        try:
            return value if isinstance(value, tuple) else tuple(shlex.split(value))
        except ValueError as error:
            self.fail(f"{value!r} cannot be split into words ({error}); check its quotes")


@click.command()
@click.argument("source")
@click.argument("target")
@click.option(
    "-m",
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="A name that `vsr models` lists, or a checkpoint file; two EDVR as FIRST+SECOND.",
)
@click.option("--weights", metavar="FILE", help="A checkpoint for that model.")
@click.option(
    "--chunk",
    type=click.IntRange(min=1),
    metavar="FRAMES",
    help="Frames restored per step.  [default: what suits the model]",
)
@click.option(
    "--look-ahead",
    type=LookAhead(),
    help="Future frames each step sees.  [default: what suits the model]",
)
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
)
@click.option(
    "--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda or cuda:N."
)
@click.option(
    "--encoder",
    metavar="NAME",
    help="Any video encoder of ffmpeg: libx264, libx265, libsvtav1, ffv1, prores_ks …",
)
@click.option(
    "--encode-args",
    type=Arguments(),
    default=(),
    metavar='"ARGS"',
    help='More arguments for ffmpeg\'s output, such as "-crf 16 -preset slow".',
)
@click.option("--start", type=Moment(), metavar="TIME", help="Begin here: seconds or HH:MM:SS.")
@click.option("--end", type=Moment(), metavar="TIME", help="End before this.")
@click.option("-y", "--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def restore(
    source: str,
    target: str,
    start: float | None,
    end: float | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Restore SOURCE into TARGET.

    Both are a video file, a folder of images, or a pattern like frames/%06d.png. Sound, chapters
    and metadata are copied. Ctrl-C ends early and leaves what is done as TARGET.partial.EXT,
    playable.

    \b
    vsr restore old.mp4 restored.mkv
    vsr restore old.mp4 restored.mp4 --start 1:00 --end 1:30 --encode-args "-crf 14 -preset slow"
    vsr restore frames/ restored/ --model basicvsr --weights BasicVSR_REDS4-543c8261.pth
    """
    from vsr import restore as restoring

    with stop_on_interrupt() as stop, progress_bar(hidden=quiet or as_json) as on_progress:
        summary = restoring.restore(
            source, target, start_s=start, end_s=end, on_progress=on_progress, stop=stop, **options
        )
    if as_json:
        click.echo(json.dumps(asdict(summary)))
    elif not quiet:
        click.echo(_sentence(summary))
    return INTERRUPTED if summary.interrupted else 0


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets; the second ends the program at once."""
    stop = threading.Event()

    def ask_to_stop(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, previous[signal.Signals(number)])

    previous = {n: signal.signal(n, ask_to_stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _sentence(summary: Summary) -> str:
    if not summary.output:
        return "interrupted before the first frame; nothing was written"
    words = [
        f"{summary.output}: {summary.frames_out} frames in {summary.seconds:.1f} s"
        f" ({summary.fps:.1f} frames/s, {summary.peak_memory_bytes / 2**20:.0f} MiB)"
    ]
    if summary.passed_through:
        words.append(f"{summary.passed_through} frames only enlarged, for want of memory")
    if summary.corrupt:
        words.append(f"{summary.corrupt} frames damaged in the source")
    if summary.interrupted:
        words.append("interrupted")
    return "; ".join(words)
