"""ffmpeg's command line, built with ffmpeg-python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from vsr.streams.ffmpeg.process import find_ffmpeg
from vsr.streams.names.container import local_name

Options = dict[str, str | list[str] | None]
"""ffmpeg's options without the dash; None for a flag, a list for an option given more than once."""

_MESSAGES = ("-hide_banner", "-nostdin", "-loglevel", "level+warning", "-nostats")


def output_command(
    streams: Sequence[Any], target: str, options: Options, *, report_s: float = 1
) -> list[str]:
    """A command that makes one output and reports its progress, as ``FFmpegProcess`` expects.

    Args:
        streams: Inputs of ffmpeg-python, or streams of them.
        target: A file, an address or a pipe; an existing file is replaced. An absolute path stays
            as it is: HLS removes its old segments by system calls that do not know `file:`.
        options: Options of the output.
        report_s: Seconds between two reports.

    Returns:
        The program and its arguments.
    """
    if not Path(target).is_absolute():
        target = local_name(target)
    once = {key: value for key, value in options.items() if not isinstance(value, list)}
    node = ffmpeg.output(*streams, target, **once)
    reports = ("-progress", "pipe:2", "-stats_period", f"{report_s:g}")
    node = node.global_args(*_MESSAGES, *reports, "-copyts").overwrite_output()
    command: list[str] = node.compile(cmd=find_ffmpeg())
    place = len(command) - 1 - command[::-1].index(target)
    return command[:place] + _repeated(options) + command[place:]


def _repeated(options: Options) -> list[str]:
    """Words of the options given more than once, which ffmpeg-python cannot express."""
    return [
        word
        for key, values in options.items()
        if isinstance(values, list)
        for value in values
        for word in (f"-{key}", value)
    ]
