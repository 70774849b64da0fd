"""Common parts of the processes that send to an address.

Standard input holds the address in the first line, then packets as NUT: in the arguments its
stream key would be visible to every user. Messages have ffmpeg's form.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

PROGRESS_EVERY_S = 0.5

_READ = {"probesize": "32", "analyzeduration": "0"}


def run(send: Callable[[str, list[str]], None]) -> int:
    """Send until the input ends; the exit code.

    Args:
        send: Called with the address and the arguments.
    """
    address = _first_line()
    try:
        send(address, sys.argv[1:])
    except (FFmpegError, OSError) as error:
        # Not the error's own text: that has the address in it.
        say(f"[error] {error.strerror or getattr(error, 'reason', '') or type(error).__name__}")
        return 1
    return 0


@contextmanager
def coded_input() -> Iterator[InputContainer]:
    """The packets on standard input, after its first line."""
    with av.open("pipe:0", format="nut", options=_READ) as coded:
        yield coded


def add_streams(coded: InputContainer, target: OutputContainer) -> list[Any]:
    """Add the streams of the input to the output."""
    return [target.add_stream_from_template(one, opaque=True) for one in coded.streams]


def copy_packets(
    coded: InputContainer,
    target: OutputContainer,
    streams: list[Any],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Copy packets as they come, and report how much was sent.

    Args:
        coded: The input.
        target: The output.
        streams: The streams of ``target``, in the order of those of ``coded``.
        check: Called before each packet; raises once sending has failed.
    """
    sent, said_at = 0, time.monotonic()
    for packet in coded.demux():
        check()
        if packet.size:
            sent += packet.size
            packet.stream = streams[packet.stream_index]
            target.mux_one(packet)
        if time.monotonic() - said_at > PROGRESS_EVERY_S:
            said_at = time.monotonic()
            say(f"total_size={sent}")


def say(line: str) -> None:
    """Write a line in the form of ffmpeg's log."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def _first_line() -> str:
    """Read the first line byte by byte, because the demuxer reads the rest."""
    line = b""
    while (byte := os.read(0, 1)) not in {b"\n", b""}:
        line += byte
    return line.decode()
