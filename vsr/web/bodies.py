"""Parsing the bodies of requests, and text that can be sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from vsr.web.errors import RequestError

MAX_BODY_BYTES = 64 << 10
"""Largest body of a request, in bytes, except for films."""


async def read_object(request: Request) -> Mapping[str, Any]:
    """The body of a request, an object.

    Raises:
        RequestError: It is too large, or no object in JSON.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise RequestError(f"a request has at most {MAX_BODY_BYTES} bytes", 413)
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise RequestError("the request is not JSON") from error
    if not isinstance(given, dict):
        raise RequestError("the request is not an object")
    return given


def parse_moment(given: object) -> float:
    """Seconds from a film's beginning; raises ``RequestError``."""
    try:
        seconds = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < 10**7:
        raise RequestError(f"{given!r} is not a time; give seconds from the film's beginning")
    return seconds


def as_text(name: str) -> str:
    """A file name as text that can be sent; bytes that are not UTF-8 are replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
