"""The ffmpeg program's description of a file, for facts that PyAV does not expose."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG

from vsr.errors import VSRError
from vsr.streams.ffmpeg.process import query_ffmpeg
from vsr.streams.names.container import local_name

_PROGRAM = re.compile(r"^ +Program \d+")
_STREAM = re.compile(r"^ +Stream #0:(\d+)")


def describe_file(source: str) -> str:
    """Ffmpeg's description of a file; empty for what it would have to open a second time."""
    try:
        found = Path(source).stat()
    except (OSError, ValueError):
        return ""
    return _ask(source, (found.st_mtime_ns, found.st_size)) if S_ISREG(found.st_mode) else ""


def describe_stream(source: str, index: int) -> str:
    """The text after ``Video:`` in the line of a video stream of a file; empty without one."""
    line = re.search(rf"Stream #0:{index}\b.*?: Video: (.*)", describe_file(source))
    return line[1] if line else ""


def other_programs(source: str, index: int) -> frozenset[int]:
    """Streams of a transport stream that belong to other programmes than a given one.

    Args:
        source: A file.
        index: Index of the stream.
    """
    programs: list[set[int]] = []
    for line in describe_file(source).splitlines():
        if _PROGRAM.match(line):
            programs.append(set())
        elif programs and (stream := _STREAM.match(line)):
            programs[-1].add(int(stream[1]))
    own: set[int] = set().union(*(program for program in programs if index in program))
    others: set[int] = set().union(*(program for program in programs if index not in program))
    return frozenset(others - own) if own else frozenset()


@lru_cache(maxsize=64)
def _ask(source: str, _version: tuple[int, int]) -> str:
    """The description; cached while the file is unchanged."""
    try:
        return query_ffmpeg("-v", "verbose", "-i", local_name(source)).stderr
    except VSRError:
        return ""
