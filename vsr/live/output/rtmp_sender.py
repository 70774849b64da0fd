"""Process that sends to an RTMP address: ``python -m vsr.live.output.rtmp_sender``.

Standard input holds the address in the first line, then packets as NUT: in the
arguments its stream key would be visible to every user. The arguments are options of ffmpeg's
TLS, such as ``tls_verify=1``. Messages have ffmpeg's form.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.error import FFmpegError

ADDRESSES = ("rtmp://", "rtmps://")

PROGRESS_EVERY_S = 0.5

UNSENT_BYTES = 16 * 1024
"""What the kernel may hold that has not been sent; what is on its way comes on top."""

_WRITE = {
    "flvflags": "no_duration_filesize",
    "max_interleave_delta": "500000",
    "flush_packets": "1",
}

_READ = {"probesize": "32", "analyzeduration": "0"}


def main() -> int:
    """Send packets until the input ends."""
    address = _first_line()
    try:
        _send(address, dict(word.split("=", 1) for word in sys.argv[1:]))
    except (FFmpegError, OSError) as error:
        # Not the error's own text: that has the address in it.
        _say(f"[error] {error.strerror}")
        return 1
    return 0


def _first_line() -> str:
    """Read the first line byte by byte, because the demuxer reads the rest."""
    line = b""
    while (byte := os.read(0, 1)) not in {b"\n", b""}:
        line += byte
    return line.decode()


def _send(address: str, tls: dict[str, str]) -> None:
    with (
        av.open("pipe:0", format="nut", options=_READ) as coded,
        _open(address, tls) as target,
    ):
        streams: list[Any] = [
            target.add_stream_from_template(one, opaque=True) for one in coded.streams
        ]
        target.start_encoding()  # which connects
        _keep_queue_short()
        sent, said_at = 0, time.monotonic()
        for packet in coded.demux():
            if packet.size:
                sent += packet.size
                packet.stream = streams[packet.stream_index]
                target.mux_one(packet)
            if time.monotonic() - said_at > PROGRESS_EVERY_S:
                said_at = time.monotonic()
                _say(f"total_size={sent}")


def _keep_queue_short() -> None:
    """Let the kernel hold little that was not sent: it is seen to wait before it, not in it.

    PyAV does not hand its socket out; it is the only one of this process.
    """
    for path in Path("/proc/self/fd").iterdir() if sys.platform == "linux" else ():
        with suppress(OSError):
            line = socket.socket(fileno=int(path.name))
            if line.family in {socket.AF_INET, socket.AF_INET6}:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            line.detach()


def _open(address: str, tls: dict[str, str]) -> OutputContainer:
    if not tls:
        return av.open(address, "w", format="flv", container_options=_WRITE)
    # PyAV opens an output without its options; ffmpeg's tee, given one target, does not.
    options = {"f": "flv", **_WRITE, **tls}
    told = ":".join(f"{key}={_escaped(value, ':]')}" for key, value in options.items())
    return av.open(_escaped(f"[{told}]{address}", "|"), "w", format="tee")


def _escaped(text: str, special: str) -> str:
    return re.sub(rf"([\\' {re.escape(special)}])", r"\\\1", text)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
