"""HTTP server for ``/livez``, ``/readyz``, ``/metrics`` and a page with input and output."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs

from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from torch import Tensor

from vsr.errors import ConfigurationError, OpenError
from vsr.live.monitor.access import COOKIE, has_token, is_own_host, read_token
from vsr.live.monitor.bounded_server import REQUEST_TIMEOUT_S, BoundedServer
from vsr.live.monitor.figures import Figures
from vsr.live.monitor.health import health, is_live, is_ready
from vsr.live.monitor.prometheus import exposition, registry_of

LOOPBACK = "127.0.0.1"

_PROBES: dict[str, Callable[[Sequence[Figures]], bool]] = {"/livez": is_live, "/readyz": is_ready}

_JPEG_QUALITY = 85

_UNKNOWN = Figures(name="")


@contextmanager
def serve_status(
    where: str, figures: Sequence[Figures], token_file: Path | None = None
) -> Iterator[str]:
    """Serve while in this context.

    Args:
        where: ``ADDRESS:PORT``, or a port of the loopback; port 0 takes any that is free.
        figures: Figures of all streams.
        token_file: A file with the secret that requests have to bring; needed unless the address
            is of the loopback.

    Yields:
        The page's address.

    Raises:
        ConfigurationError: No port, or no usable token.
        OpenError: The port is taken, or the address is not this machine's.
    """
    host, port = _parse(where)
    token = read_token(token_file, host)
    shown = f"[{host}]" if ":" in host else host
    try:
        server = _Server((host, port), figures, token)
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


class _Server(BoundedServer):
    def __init__(
        self, address: tuple[str, int], figures: Sequence[Figures], token: str | None
    ) -> None:
        super().__init__(address, _Handler)
        self.token = token
        self.figures = {one.name: one for one in figures}
        self.registry: CollectorRegistry = registry_of(figures)
        self.page = files("vsr.live.monitor").joinpath("page.html").read_bytes()
        self.encoding = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        path, _, rest = self.path.partition("?")
        query = {key: values[0] for key, values in parse_qs(rest).items()}
        allowed = self._is_allowed(query.get("token", ""))
        if path in _PROBES:
            self._answer_probe(path, allowed)
        elif allowed:
            self._answer_path(path, query)
        else:
            self.send_error(HTTPStatus.FORBIDDEN, "the token is missing, or this is another host")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""

    def _is_allowed(self, offered: str) -> bool:
        token, headers = self.server.token, self.headers
        if token is None:
            return is_own_host(headers.get("Host", ""))
        return has_token(
            token, headers.get("Authorization", ""), headers.get("Cookie", ""), offered
        )

    def _answer_path(self, path: str, query: dict[str, str]) -> None:
        match path:
            case "/":
                self._answer("text/html; charset=utf-8", self.server.page)
            case "/metrics":
                self._answer(CONTENT_TYPE_LATEST, exposition(self.server.registry))
            case "/figures.json":
                self._answer_json([one.plain() for one in self.server.figures.values()])
            case "/input.jpg" | "/output.jpg":
                self._answer_picture(query.get("stream", ""), output=path == "/output.jpg")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def _answer_probe(self, path: str, allowed: bool) -> None:
        """Tell anyone whether all is well; the states only to those who may see the figures."""
        figures = list(self.server.figures.values())
        code = HTTPStatus.OK if _PROBES[path](figures) else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer_json(health(figures) if allowed else {}, code)

    def _answer_picture(self, name: str, *, output: bool) -> None:
        one = self.server.figures.get(name, _UNKNOWN)
        frame = one.after if output else one.before
        if frame is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with self.server.encoding:  # one at a time: the streams need the cores
            picture = _jpeg(frame)
        self._answer("image/jpeg", picture)

    def _answer_json(self, value: object, code: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer("application/json", json.dumps(value).encode(), code)

    def _answer(self, kind: str, body: bytes, code: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        if kind.startswith("text/html") and self.server.token is not None:
            # What the page loads brings the token by itself.
            cookie = f"{COOKIE}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _parse(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"--status {where!r} has no port; give {LOOPBACK}:9100 or 9100")
    return host.strip("[]") or LOOPBACK, int(port)


def _jpeg(frame: Tensor) -> bytes:
    """Encode a frame (3, H, W) in [0, 1] as JPEG."""
    pixels = frame.float().clamp(0, 1).mul(255).round().byte().movedim(0, -1)
    file = BytesIO()
    Image.fromarray(pixels.contiguous().cpu().numpy()).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
