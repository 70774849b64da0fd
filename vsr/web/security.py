"""Access control of the page: checks of every request, and headers of every answer.

Other pages in the same browser, other programs' pages on this machine, and names that resolve to it
(DNS rebinding) must reach nothing. A request has to name this machine as its host, to carry the
token, and to come from our own page.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, unquote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vsr.live.monitor.access import is_own_host

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",  # the page's first address holds the token
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Guard:
    """Refuses requests that do not come from the page.

    Attributes:
        app: The application that is guarded.
        token: The secret of this server.
        remote: Whether other machines may ask, by any name.
    """

    app: ASGIApp
    token: str
    remote: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        answer = self.app if refusal is None else refusal
        await answer(scope, receive, self._with_headers(request, send))

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if not self.remote and not (host and is_own_host(host)):
            return _refuse("this page is for this machine alone")
        bearer = self._matches(request.headers.get("authorization", "").removeprefix("Bearer "))
        cookie = self._matches(unquote(request.cookies.get(cookie_name(request), "")))
        if not (bearer or cookie or self._is_login(request)):
            return _refuse("open the address that `vsr web` printed", HTTPStatus.UNAUTHORIZED)
        # Browsers add the bearer token to nothing by themselves, as they do with cookies.
        if not bearer and not _comes_from_our_page(request):
            return _refuse("this request comes from another page")
        return None

    def _is_login(self, request: Request) -> bool:
        return _is_start(request) and self._matches(request.query_params.get("token", ""))

    def _matches(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())

    def _with_headers(self, request: Request, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if self._is_login(request) and message["status"] == HTTPStatus.OK:
                    cookie = f"{cookie_name(request)}={quote(self.token, safe='')}"
                    headers["set-cookie"] = f"{cookie}; HttpOnly; SameSite=Strict; Path=/"
            await send(message)

        return send_with_headers


def cookie_name(request: Request) -> str:
    """Name of the cookie: the ports of a machine share their cookies."""
    return f"vsr-web-{request.url.port or 80}"


def _is_start(request: Request) -> bool:
    return request.method in SAFE_METHODS and request.url.path == "/"


def _comes_from_our_page(request: Request) -> bool:
    """Whether a browser says that our own page asks; reading the start page is free to all.

    Sec-Fetch-Site tells pages on other ports of this machine apart, which cookies do not.
    """
    site = request.headers.get("sec-fetch-site")
    if request.method in SAFE_METHODS:
        return _is_start(request) or site in {None, "same-origin", "none"}
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return origin == own and site in {None, "same-origin"}


def _refuse(message: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> Response:
    return PlainTextResponse(f"{message}\n", status)
