"""Kinds of sinks and the command of each."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import ffmpeg

from vsr.address import is_address
from vsr.streams.ffmpeg.command import Options, output_command
from vsr.streams.names.container import INPUT_PIPE
from vsr.streams.names.formats import ADDRESS_FORMATS, MOV_FAMILY, PLAYLISTS, suffix_of
from vsr.streams.names.trust import Trust

TIMEOUT_S = 5.0
"""A sink that takes nothing for longer is given up and reopened."""

RTMP = ("rtmp://", "rtmps://")
HTTP = ("http://", "https://")
"""Addresses that are sent to by processes of our own."""

_PLAYLIST = {
    "hls_time": "2",
    "hls_list_size": "6",
    "hls_flags": "delete_segments+independent_segments",
}

FILE_TIMEOUT_S = 60.0
"""The same for a file, which cannot be reopened: a disk may pause for a while."""


def sink_command(target: str, path: str, trust: Trust) -> list[str]:
    """The command that copies packets from NUT on its standard input into a sink.

    Args:
        target: Target that determines the format.
        path: Path or address to write.
        trust: Which certificates are accepted.
    """
    if target.startswith(RTMP):
        return [*_python("rtmp_sender"), *_words(trust.options(target))]
    if target.startswith(HTTP):
        trusted = ["insecure"] if trust.insecure else []
        trusted += [f"ca_file={trust.ca_file}"] if trust.ca_file else []
        return [*_python("hls_sender"), *trusted, *_words(_PLAYLIST)]
    packets = ffmpeg.input(INPUT_PIPE, f="nut", probesize="32", analyzeduration="0")
    options: Options = {
        "map": "0",
        "c": "copy",
        "max_interleave_delta": "500000",
        "flush_packets": "1",
    }
    if suffix_of(target) in PLAYLISTS and not is_address(path):
        # A playlist's lines are what follows the last slash of its own name, `file:` included.
        path = str(Path(path).absolute())
        options["hls_segment_filename"] = _segments(path)
    return output_command([packets], path, options | _format(target), report_s=0.5)


def sink_preamble(target: str) -> bytes:
    """Bytes that precede the packets on the command's standard input."""
    return f"{target}\n".encode() if target.startswith((*RTMP, *HTTP)) else b""


def _segments(path: str) -> str:
    """The names of a playlist's segments, which no other playlist's have."""
    return path.removesuffix(Path(path).suffix) + ".%d.ts"


def _python(module: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"vsr.live.output.{module}"]


def _words(options: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in options.items()]


def _format(target: str) -> Options:
    suffix = suffix_of(target)
    if suffix in PLAYLISTS:
        return {"f": "hls", **_PLAYLIST}
    if suffix in ADDRESS_FORMATS:
        timeout = str(round(TIMEOUT_S * 1_000_000))
        return {"f": ADDRESS_FORMATS[suffix], "rw_timeout": timeout}
    if suffix in MOV_FAMILY:
        # Playable however it ends.
        return {"movflags": "+frag_keyframe"}
    return {}
