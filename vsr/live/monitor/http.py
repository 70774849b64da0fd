"""HTTP server for ``/livez``, ``/readyz``, ``/metrics`` and a page with input and output.

Starlette and uvicorn, as the page of ``vsr web``, which shows these figures and pictures in turn.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from PIL import Image
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from torch import Tensor

from vsr.errors import ConfigurationError, OpenError
from vsr.live.monitor.access import COOKIE, has_token, is_own_host, read_token
from vsr.live.monitor.bounded_server import serve_bounded
from vsr.live.monitor.figures import Figures
from vsr.live.monitor.health import health, is_live, is_ready
from vsr.live.monitor.prometheus import exposition, registry_of

LOOPBACK = "127.0.0.1"

PROBES: dict[str, Callable[[Sequence[Figures]], bool]] = {"/livez": is_live, "/readyz": is_ready}

PAGE_FILES = {
    "status.html": "text/html",
    "status.css": "text/css",
    "status.js": "text/javascript",
    "figures.js": "text/javascript",
}
"""Files of the page; ``figures.js`` is part of the page of ``vsr web`` as well."""

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",  # the page's first address may hold the token
    "x-content-type-options": "nosniff",
}

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
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise OpenError(
            f"figures cannot be served at {shown}:{port} ({error.strerror}); give another"
        ) from error
    port = listener.getsockname()[1]
    with serve_bounded(make_status_app(figures, token), listener):
        yield f"http://{shown}:{port}/"


def make_status_app(figures: Sequence[Figures], token: str | None) -> Starlette:
    """The application.

    Args:
        figures: Figures of all streams.
        token: The secret that requests have to bring; None to answer requests to the loopback.
    """
    status = _Status(figures, token)
    routes = [
        *(Route(path, partial(status.probe, is_well=probe)) for path, probe in PROBES.items()),
        Route("/", partial(status.page_file, name="status.html")),
        *(Route(f"/{name}", partial(status.page_file, name=name)) for name in PAGE_FILES),
        Route("/metrics", status.metrics),
        Route("/figures.json", status.figures),
        Route("/input.jpg", partial(status.picture, output=False)),
        Route("/output.jpg", partial(status.picture, output=True)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Guard, is_allowed=status.is_allowed)])


class _Status:
    """The requests for figures and pictures."""

    def __init__(self, figures: Sequence[Figures], token: str | None) -> None:
        self._figures = {one.name: one for one in figures}
        self._token = token
        self._registry = registry_of(figures)
        self._encoding = CapacityLimiter(1)  # one at a time: the streams need the cores

    async def probe(
        self, request: Request, *, is_well: Callable[[Sequence[Figures]], bool]
    ) -> Response:
        """Answer a probe to anyone; its details only to those who may see the figures."""
        figures = list(self._figures.values())
        code = HTTPStatus.OK if is_well(figures) else HTTPStatus.SERVICE_UNAVAILABLE
        content = health(figures) if self.is_allowed(request) else {}
        return JSONResponse(content, code, headers=HEADERS)

    async def page_file(self, request: Request, *, name: str) -> Response:
        content = files("vsr.live.monitor").joinpath(name).read_bytes()
        answer = Response(content, media_type=PAGE_FILES[name], headers=HEADERS)
        if self._token is not None:  # what the page loads brings the token by itself
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
        return answer

    async def metrics(self, request: Request) -> Response:
        headers = {**HEADERS, "content-type": CONTENT_TYPE_LATEST}
        return Response(exposition(self._registry), headers=headers)

    async def figures(self, request: Request) -> Response:
        return JSONResponse([one.plain() for one in self._figures.values()], headers=HEADERS)

    async def picture(self, request: Request, *, output: bool) -> Response:
        one = self._figures.get(request.query_params.get("stream", ""), _UNKNOWN)
        frame = one.after if output else one.before
        if frame is None:
            return PlainTextResponse("there is no picture\n", HTTPStatus.NOT_FOUND)
        picture = await to_thread.run_sync(_jpeg, frame, limiter=self._encoding)
        return Response(picture, media_type="image/jpeg", headers=HEADERS)

    def is_allowed(self, request: Request) -> bool:
        """Whether a request may see the figures."""
        headers = request.headers
        if self._token is None:
            return is_own_host(headers.get("host", ""))
        return has_token(
            self._token,
            headers.get("authorization", ""),
            headers.get("cookie", ""),
            request.query_params.get("token", ""),
        )


@dataclass(frozen=True)
class _Guard:
    """Refuses all requests that are not allowed, except those to the probes."""

    app: ASGIApp
    is_allowed: Callable[[Request], bool]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self.app
        if scope["path"] not in PROBES and not self.is_allowed(Request(scope)):
            text = "the token is missing, or this is another host\n"
            answer = PlainTextResponse(text, HTTPStatus.FORBIDDEN, headers=HEADERS)
        await answer(scope, receive, send)


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
