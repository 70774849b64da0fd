"""HTTP server for ``/healthz``, ``/metrics`` and a page with input and output."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from io import BytesIO
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from torch import Tensor

from vsr.errors import ConfigurationError, OpenError
from vsr.live.monitor.figures import Figures
from vsr.live.monitor.prometheus import exposition, registry_of

LOOPBACK = "127.0.0.1"

HEALTHY = frozenset({"running", "away", "connecting", "ended"})

_JPEG_QUALITY = 85

_NOBODY = Figures(name="")


@contextmanager
def serve_status(where: str, figures: Sequence[Figures]) -> Iterator[str]:
    """Serve figures while in this context.

    Args:
        where: ``ADDRESS:PORT``, or a port of the loopback; port 0 takes a free one.
        figures: Figures of all streams.

    Yields:
        The page's address.

    Raises:
        ConfigurationError: No port.
        OpenError: The port is in use, or the address is not local.
    """
    host, port = _parse(where)
    shown = f"[{host}]" if ":" in host else host
    try:
        server = _Server((host, port), figures)
    except OSError as error:
        raise OpenError(
            f"figures cannot be served at {shown}:{port} ({error.strerror}); give another"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="vsr-live-status", daemon=True)
    thread.start()
    try:
        yield f"http://{shown}:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], figures: Sequence[Figures]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        self.figures = {one.name: one for one in figures}
        self.registry: CollectorRegistry = registry_of(figures)
        self.page = files("vsr.live.monitor").joinpath("page.html").read_bytes()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        if not self._is_meant():
            self.send_error(HTTPStatus.FORBIDDEN, "this page is for this machine alone")
            return
        address = urlsplit(self.path)
        name = parse_qs(address.query).get("stream", [""])[0]
        match address.path:
            case "/":
                self._answer("text/html; charset=utf-8", self.server.page)
            case "/healthz":
                self._answer_health()
            case "/metrics":
                self._answer(CONTENT_TYPE_LATEST, exposition(self.server.registry))
            case "/figures.json":
                plain = [one.plain() for one in self.server.figures.values()]
                self._answer("application/json", json.dumps(plain).encode())
            case "/input.jpg" | "/output.jpg":
                self._answer_picture(name, output=address.path == "/output.jpg")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Do not log requests."""

    def _is_meant(self) -> bool:
        """Whether the request names this machine as its host.

        Another page's name could resolve to the loopback (DNS rebinding), and would get the
        pictures from the browser.
        """
        asked = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        return not _is_loopback(self.server.server_address[0]) or not asked or _is_loopback(asked)

    def _answer_health(self) -> None:
        states = {one.name: one.state for one in self.server.figures.values()}
        healthy = all(state in HEALTHY for state in states.values())
        code = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer("application/json", json.dumps(states).encode(), code)

    def _answer_picture(self, name: str, *, output: bool) -> None:
        one = self.server.figures.get(name, _NOBODY)
        frame = one.after if output else one.before
        if frame is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._answer("image/jpeg", _jpeg(frame))

    def _answer(self, kind: str, body: bytes, code: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _parse(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"--status {where!r} has no port; give {LOOPBACK}:9100 or 9100")
    return host.strip("[]") or LOOPBACK, int(port)


def _is_loopback(host: object) -> bool:
    try:
        return ip_address(str(host)).is_loopback
    except ValueError:
        return host == "localhost"


def _jpeg(frame: Tensor) -> bytes:
    """Encode a frame (3, H, W) in [0, 1] as JPEG."""
    pixels = frame.float().clamp(0, 1).mul(255).round().byte().movedim(0, -1)
    file = BytesIO()
    Image.fromarray(pixels.contiguous().cpu().numpy()).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
