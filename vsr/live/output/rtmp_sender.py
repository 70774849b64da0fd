"""Process that sends to an RTMP address: ``python -m vsr.live.output.rtmp_sender``.

The arguments are options of ffmpeg's TLS, such as ``tls_verify=1``.
"""

from __future__ import annotations

import re
import socket
import sys
from contextlib import suppress
from pathlib import Path

import av
from av.container import OutputContainer

from vsr.live.output.sender import add_streams, coded_input, copy_packets, run

UNSENT_BYTES = 16 * 1024
"""Unsent bytes that the kernel may hold; what is on its way comes on top."""

_WRITE = {
    "flvflags": "no_duration_filesize",
    "max_interleave_delta": "500000",
    "flush_packets": "1",
}


def send(address: str, arguments: list[str]) -> None:
    """Send packets until the input ends."""
    tls = dict(word.split("=", 1) for word in arguments)
    with coded_input() as coded, _open(address, tls) as target:
        streams = add_streams(coded, target)
        target.start_encoding()  # which connects
        _keep_queue_short()
        copy_packets(coded, target, streams)


def _keep_queue_short() -> None:
    """Keep the kernel's send queue short, so that waiting packets are counted before it.

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


if __name__ == "__main__":
    sys.exit(run(send))
