"""``vsr restore``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli.parameters import (
    MEDIA,
    PRECISIONS,
    Arguments,
    LookAhead,
    Moment,
    Names,
    Rate,
    Size,
    Tiles,
    complete_model_or_auto,
    face_detector_option,
    face_model_option,
    fidelity_option,
    skip_still_option,
    steady_option,
)
from vsr.cli.signals import INTERRUPTED, stop_on_signal, unless_stopped
from vsr.cli.startup import loading
from vsr.models.catalogue import AUTO_MODEL
from vsr.models.checkpoints.face_zoo import DEFAULT_FACES
from vsr.results import Summary
from vsr.resume import SEGMENT_FRAMES
from vsr.scenes import AUTO

if TYPE_CHECKING:
    from vsr.offline.options import RestoreOptions
    from vsr.offline.progress_files import ProgressFiles
    from vsr.results import Progress


def write_preview(
    source: str, target: str, moment_s: float, options: RestoreOptions, *, as_json: bool
) -> int:
    """Write a preview of one moment, of a video or of every video of a folder."""
    from vsr.cli.folders import preview_folder
    from vsr.offline.folder import holds_videos
    from vsr.offline.preview import preview, unused

    if names := sorted(f"--{n.removesuffix('_s').replace('_', '-')}" for n in unused(options)):
        click.echo(
            f"vsr: --preview shows all that the model makes; it ignores {', '.join(names)}",
            err=True,
        )
    if holds_videos(source):
        return preview_folder(source, target, moment_s, options, as_json=as_json)
    with stop_on_signal() as stop:
        picture = preview(source, target, moment_s, options, stop=stop)
    if picture is None:
        raise click.Abort
    click.echo(json.dumps({"output": picture}) if as_json else picture)
    return 0


PIPE = "-"
"""The target that is standard output: nothing else may go there."""

COMPARISONS = ("side", "split")
"""Values of ``--compare``; the first is meant where none is given."""


class RestoreCommand(click.Command):
    """The command, which takes ``--compare`` with and without a value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _name_comparison(args))


def _name_comparison(words: list[str]) -> list[str]:
    """Words with the value of a bare ``--compare``; click would take the next word as its value."""
    end = words.index("--") if "--" in words else len(words)
    following = [*words[1:], ""]
    return [
        f"{word}={COMPARISONS[0]}"
        if word == "--compare" and place < end and following[place] not in COMPARISONS
        else word
        for place, word in enumerate(words)
    ]


@click.command(cls=RestoreCommand)
@click.argument("source", type=MEDIA)
@click.argument("target", type=MEDIA)
@click.option(
    "-m",
    "--model",
    default=AUTO_MODEL,
    show_default=True,
    shell_complete=complete_model_or_auto,
    help="A name that `vsr models` lists, or a checkpoint file; two EDVR as FIRST+SECOND. auto is "
    "compact-x4-video (compact-x4 for scenes that were hardly coded), compact-x2-video above 540 "
    "rows or where twice the size suffices, and unet-x1-video where the size stays; a FILE.toml "
    "says that otherwise.",
)
@click.option("--weights", type=MEDIA, metavar="FILE", help="A checkpoint for that model.")
@fidelity_option
@click.option(
    "--guard-artifacts/--no-guard-artifacts",
    default=None,
    help="Where a vivid model makes up texture or colour, show a faithful one's result: of the "
    "other set of weights, else of ours at the same scale.  [default: with --fidelity under "
    "0.5]",
)
@click.option(
    "--strength-map",
    default="off",
    show_default=True,
    metavar="off|auto|PICTURE",
    help="A picture, white where frames are to be restored fully; where it is black, a milder "
    "model's result is shown. auto: fully where a frame was coded coarsely.",
)
@steady_option
@skip_still_option
@click.option(
    "--show-map",
    type=MEDIA,
    metavar="FILE",
    help="With --guard-artifacts or --strength-map, also write where which result is shown: a "
    "video, or a folder of pictures; white is the faithful or milder model's.",
)
@click.option(
    "--faces",
    is_flag=True,
    help="Restore faces, too, steadily in time; --fidelity is how close they stay to the input "
    "(0.5 unless given). Needs `vsr models pull gfpgan-v1.4` (non-commercial) and mtcnn.",
)
@face_model_option
@face_detector_option
@click.option(
    "--chunk",
    type=click.IntRange(min=1),
    metavar="FRAMES",
    help="Frames restored per step.  [default: what suits the model and fits into memory]",
)
@click.option(
    "--look-ahead",
    type=LookAhead(),
    help="Future frames each step sees.  [default: what suits the model and fits into memory]",
)
@click.option(
    "--tiles",
    type=Tiles(),
    help="Restore frames in tiles, each with its own state.  [default: none, if memory allows]",
)
@click.option(
    "--memory",
    metavar="SIZE",
    help="What the run may take: 4G, 800M, or 75% of what is free.  [default: 80%]",
)
@click.option(
    "--scenes",
    default=AUTO,
    show_default=True,
    metavar="auto|off|FILE|'every N'",
    help="Where scenes begin, across which nothing propagates: found by their cuts, nowhere, "
    "listed in a file (a frame's number or a time per line), or every N frames.",
)
@click.option(
    "--parallel-scenes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Restore N scenes at once: faster on a GPU that small frames leave idle.",
)
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(PRECISIONS),
    help="Of the convolutions; int8 is for compact and measured BasicVSR on a CPU.",
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
@click.option("--scale", type=float, metavar="N", help="Output N times the input's size.")
@click.option("--size", type=Size(), help="Output of this size, such as 1920x1080.")
@click.option(
    "--fit",
    type=click.IntRange(min=2),
    metavar="PIXELS",
    help="Output whose shorter side has so many pixels.  [default: what the model makes]",
)
@click.option(
    "--hwaccel",
    metavar="NAME",
    help="Decode on a device: auto, or ffmpeg's name of one, cuda, qsv, vaapi …; in software, "
    "with a note, where the machine or this build has none, or the source is a pipe.",
)
@click.option(
    "--in-process",
    is_flag=True,
    help="Encode in this process by PyAV instead of the ffmpeg program; subtitles, "
    "and sound that the target cannot hold, are left out.",
)
@click.option(
    "--frame-rate",
    type=Rate(),
    metavar="RATE",
    help="Of images, which have none: 25, 23.976, 24000/1001.  [default: 25]",
)
@click.option(
    "--deinterlace",
    type=click.Choice(["auto", "off", "frame", "field"]),
    default="auto",
    show_default=True,
    help="auto looks at the pictures, whatever the flags say; frame makes one frame of two fields, "
    "field one of each, at twice the rate.",
)
@click.option(
    "--keep-start",
    is_flag=True,
    help="Keep times that begin below zero or at a broadcast's clock, instead of beginning at 0.",
)
@click.option("--start", type=Moment(), metavar="TIME", help="Begin here: seconds or HH:MM:SS.")
@click.option("--end", type=Moment(), metavar="TIME", help="End before this.")
@click.option(
    "--preview",
    type=Moment(),
    metavar="TIME",
    help="Only write a picture of this moment, before and after: TARGET.preview.png.",
)
@click.option(
    "--compare",
    type=click.Choice(COMPARISONS),
    help="Write a video of input and result: side by side, also without a value, or half of each.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where a run with the same options was ended, whatever ended it.",
)
@click.option(
    "--segment",
    type=click.IntRange(min=0),
    default=SEGMENT_FRAMES,
    show_default=True,
    metavar="FRAMES",
    help="Keep what is done, for --resume, after so many frames at the latest; 0 for never.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Share the work among the workers of a Ray cluster: local, auto, HOST:PORT or ray://…; "
    "the result is the same.",
)
@click.option(
    "--devices",
    type=Names(),
    default=(),
    metavar="A,B",
    help="Share the work among devices of this machine: cuda:0,cuda:1.",
)
@click.option(
    "--worker-cores",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cores of a cluster's worker without a GPU.  [default: 4, or all of a smaller machine]",
)
@click.option(
    "--mixed-machines",
    is_flag=True,
    help="Use machines of a cluster, too, whose arithmetic gives other bits.",
)
@click.option(
    "--storage",
    metavar="ADDRESS",
    help="A folder that all machines of a cluster reach, such as s3://bucket/folder; not needed "
    "where they see the same files.",
)
@click.option("-y", "--overwrite", is_flag=True, help="Replace TARGET if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option(
    "--progress",
    "progress_folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write there, for another program, how far the run is (progress.json, twice a second) and "
    "its newest frame (frame.jpg).",
)
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def restore(
    source: str,
    target: str,
    start: float | None,
    end: float | None,
    as_json: bool,
    dry_run: bool,
    preview: float | None,
    progress_folder: Path | None,
    faces: bool,
    face_model: str | None,
    quiet: bool,
    **given: Any,
) -> int:
    """Restore SOURCE into TARGET.

    Both are a video file, a folder of images, a pattern like frames/%06d.png, or - for a pipe; or a
    folder of videos, or a .txt file that lists some, restored into a folder: existing results are
    skipped, a failure does not stop the rest. --dry-run and --preview work on folders, too.

    Sound, subtitles, attachments, chapters and metadata are kept. Ctrl-C ends early and leaves the
    finished part as TARGET.partial.EXT, playable.

    A long run keeps finished work in TARGET.resume until TARGET is complete: --resume continues
    there after Ctrl-C, a crash or a power cut.

    \b
    vsr restore old.mp4 restored.mkv
    vsr restore old.mp4 restored.mp4 --start 1:00 --end 1:30 --encode-args "-crf 14 -preset slow"
    vsr restore frames/ restored/ --model basicvsr --weights BasicVSR_REDS4-543c8261.pth
    """
    with loading():
        from vsr.cli.folders import estimate_folder, restore_folder
        from vsr.cli.progress import progress_bar
        from vsr.cluster import restore as restoring
        from vsr.offline.folder import holds_videos, mixed_note
        from vsr.offline.options import RestoreOptions
        from vsr.offline.progress_files import ProgressFiles

    if dry_run and preview is not None:
        raise click.UsageError("--dry-run and --preview exclude each other; give one of them")
    if note := mixed_note(source):
        click.echo(f"vsr: {note}", err=True)
    options = RestoreOptions(
        start_s=start,
        end_s=end,
        faces=face_model or (DEFAULT_FACES if faces or given["face_detector"] else None),
        **given,
    )
    if preview is not None:
        return write_preview(source, target, preview, options, as_json=as_json)
    if holds_videos(source):
        _refuse({"--progress": progress_folder, "--show-map": options.show_map})
        if dry_run:
            return estimate_folder(source, target, options, as_json=as_json)
        return restore_folder(source, target, options, as_json=as_json, quiet=quiet)
    if dry_run:
        from vsr.offline.estimate import estimate

        forecast = unless_stopped(lambda: estimate(source, target, options))
        click.echo(json.dumps(asdict(forecast)) if as_json else forecast.text())
        return 0
    files = None if progress_folder is None else ProgressFiles(progress_folder)
    with stop_on_signal() as stop, progress_bar(hidden=quiet or as_json) as bar:
        summary = restoring.restore(
            source,
            target,
            options,
            on_progress=bar if files is None else _both(bar, files),
            on_frame=None if files is None else files.show_frame,
            stop=stop,
        )
    if as_json:
        click.echo(json.dumps(asdict(summary)), err=target == PIPE)
    elif not quiet:
        click.echo(_sentence(summary, target), err=target == PIPE)
    return INTERRUPTED if summary.interrupted else 0


def _refuse(given: dict[str, object]) -> None:
    """Refuse options of a single film for a folder of them."""
    for name, value in given.items():
        if value is not None:
            raise click.UsageError(f"{name} is for one film; leave it out for a folder of them")


def _both(bar: Callable[[Progress], None], files: ProgressFiles) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        bar(progress)
        files.show(progress)

    return show


def _next_step(target: str) -> str:
    """Sentence about the effect of repeating the command of an interrupted run."""
    from vsr.resume.journal import has_journal

    return "with --resume continues" if has_journal(target) else "starts again"


def _sentence(summary: Summary, target: str) -> str:
    if not summary.output and summary.frames_out:
        return f"interrupted; {summary.frames_out} frames are kept, --resume continues"
    if not summary.output:
        return (
            "interrupted before the first frame; nothing was written, and the same command "
            f"{_next_step(target)}"
        )
    if summary.skipped:
        return f"{summary.output} is there, and nothing is left to resume: skipped"
    memory = f"{summary.peak_memory_bytes / 2**20:.0f} MiB"
    done = (
        f"{summary.output}: {summary.frames_out} frames in {summary.seconds:.1f} s "
        f"({summary.fps:.1f} frames/s, {memory}) by {summary.model}"
    )
    remarks = {
        _faces(summary): summary.faces or summary.faces_left_alone,
        f"{summary.passed_through} frames only enlarged": summary.passed_through,
        f"{summary.blank} frames came out as a single colour: check the weights": summary.blank,
        f"artefacts replaced in {summary.guarded} frames": summary.guarded,
        f"out of memory {_times(summary.retries)}, repeated with less: {summary.settings}": (
            summary.retries
        ),
        f"the state was discarded {_times(summary.resets)}": summary.resets,
        f"{summary.corrupt} frames damaged in the source": summary.corrupt,
        f"the source's size changes {_times(summary.size_changes)}: all are scaled to the first "
        "frame's": summary.size_changes,
        f"{summary.added} frames added by the encoder's arguments": summary.added > 0,
        f"{-summary.added} frames left out by the encoder's arguments": summary.added < 0,
        f"{summary.resumed} frames of them from an earlier run": summary.resumed,
        f"interrupted: this part is playable, and the same command {_next_step(target)}": (
            summary.interrupted
        ),
    }
    return "; ".join([done, *(remark for remark, applies in remarks.items() if applies)])


def _faces(summary: Summary) -> str:
    """Faces restored and left alone, each counted once in every frame."""
    restored = f"{summary.faces} faces restored"
    if not summary.faces_left_alone:
        return restored
    reasons = ", ".join(f"{number} {reason}" for reason, number in summary.faces_left_alone.items())
    return f"{restored}, left alone: {reasons}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
