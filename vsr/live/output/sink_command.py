"""Kinds of sinks and the command of each."""

from __future__ import annotations

import sys
from pathlib import Path

import ffmpeg

from vsr.address import is_address
from vsr.live.output.rtmp_sender import ADDRESSES
from vsr.streams.ffmpeg.command import Options, output_command
from vsr.streams.names.container import INPUT_PIPE
from vsr.streams.names.formats import ADDRESS_FORMATS, MOV_FAMILY, PLAYLISTS, suffix_of
from vsr.streams.names.trust import Trust

TIMEOUT_S = 5.0
"""A sink that takes nothing for longer is given up and reopened."""

FILE_TIMEOUT_S = 60.0
"""Likewise a file, which cannot be reopened: a disk may pause for a while."""


def sink_command(target: str, path: str, trust: Trust) -> list[str]:
    """The command that copies packets from NUT on its standard input into a sink.

    Args:
        target: Target that determines the format.
        path: Path or address to write.
        trust: Which certificates are accepted.
    """
    if target.startswith(ADDRESSES):
        told = [f"{key}={value}" for key, value in trust.options(target).items()]
        return [sys.executable, "-P", "-m", "vsr.live.output.rtmp_sender", *told]
    packets = ffmpeg.input(INPUT_PIPE, f="nut", probesize="32", analyzeduration="0")
    if suffix_of(target) in PLAYLISTS and not is_address(path):
        # A playlist's lines are what follows the last slash of its own name, `file:` included.
        path = str(Path(path).absolute())
    options: Options = {
        "map": "0",
        "c": "copy",
        "max_interleave_delta": "500000",
        "flush_packets": "1",
    }
    return output_command([packets], path, options | _format(target), report_s=0.5)


def sink_preamble(target: str) -> bytes:
    """Bytes that precede the packets on the command's standard input."""
    return f"{target}\n".encode() if target.startswith(ADDRESSES) else b""


def _format(target: str) -> Options:
    suffix = suffix_of(target)
    if suffix in PLAYLISTS:
        kept = {"hls_time": "2", "hls_list_size": "6"}
        return {"f": "hls", **kept, "hls_flags": "delete_segments+independent_segments"}
    if suffix in ADDRESS_FORMATS:
        timeout = str(round(TIMEOUT_S * 1_000_000))
        return {"f": ADDRESS_FORMATS[suffix], "rw_timeout": timeout}
    if suffix in MOV_FAMILY:
        # Playable however it ends.
        return {"movflags": "+frag_keyframe"}
    return {}
