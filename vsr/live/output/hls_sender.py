"""Process that puts a playlist and its segments to a server over HTTP.

``python -m vsr.live.output.hls_sender``; the arguments are ``insecure`` or ``ca_file=FILE``, and
options of ffmpeg's HLS such as ``hls_time=2``. ffmpeg's own HLS would not hand options of TLS on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av

from vsr.live.output.sender import add_streams, coded_input, copy_packets, run
from vsr.streams.names.trust import HTTPOpener, Trust

TIMEOUT_S = 5.0
"""Time for which a server may be silent."""


def send(address: str, arguments: list[str]) -> None:
    """Send packets until the input ends."""
    options = dict(word.partition("=")[::2] for word in arguments)
    ca_file, insecure = options.pop("ca_file", None), "insecure" in options
    options.pop("insecure", None)
    trust = Trust(ca_file=Path(ca_file) if ca_file else None, insecure=insecure)
    server = _Server(HTTPOpener(trust, TIMEOUT_S))
    with (
        coded_input() as coded,
        av.open(
            address,
            "w",
            format="hls",
            io_open=server.open,
            options={"method": "PUT", **options},
        ) as target,
    ):
        streams = add_streams(coded, target)
        copy_packets(coded, target, streams, server.check)
    server.check()


class _Server:
    """Opens what HLS writes. An error of a file that is closed is raised by ``check``."""

    def __init__(self, opener: HTTPOpener) -> None:
        self._opener = opener
        self._error: OSError | None = None

    def open(self, url: str, flags: int, options: dict[str, Any]) -> _File:
        return _File(self, url, str(options.get("method", "PUT")))

    def send(self, url: str, method: str, data: bytes) -> None:
        try:
            self._opener.send(url, method, data)
        except OSError as error:
            if method != "DELETE":  # a server may keep what is old
                self._error = self._error or error

    def check(self) -> None:
        """Raise the first error of a server."""
        if self._error is not None:
            raise self._error


class _File:
    """A file on the server, sent when it is closed."""

    def __init__(self, server: _Server, url: str, method: str) -> None:
        self._server, self._url, self._method = server, url, method
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def close(self) -> None:
        self._server.send(self._url, self._method, bytes(self._data))


if __name__ == "__main__":
    sys.exit(run(send))
