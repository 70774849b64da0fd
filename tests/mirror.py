"""A server of files on this machine, with the faults that real ones have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Mirror:
    """What is served, how, and what was asked for; may be changed while it runs.

    Attributes:
        address: Base address of the files.
        files: Contents by path.
        has_ranges: Whether a part can be asked for.
        cut_after: Bytes of an answer after which the connection breaks; None never.
        ranges: The range that each request asked for; None for whole files.
        bytes_sent: Bytes of all contents sent.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    has_ranges: bool = True
    cut_after: int | None = None
    ranges: list[str | None] = field(default_factory=list)
    bytes_sent: int = 0


@contextmanager
def serve_mirror() -> Iterator[Mirror]:
    """Serve on a free port of the loopback interface."""
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        mirror = _Handler.mirror = Mirror(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.mirror.ranges.append(asked)
        content = self.mirror.files.get(self.path.removeprefix("/"))
        if content is None:
            self.send_error(404)
        elif asked is None or not self.mirror.has_ranges:
            self._send(200, content)
        elif (start := int(asked.removeprefix("bytes=").removesuffix("-"))) < len(content):
            self._send(206, content[start:])
        else:
            self.send_error(416)

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        sent = content[: self.mirror.cut_after]
        # Before they go: whoever has them may look at once.
        self.mirror.bytes_sent += len(sent)
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""
