"""Access control of the figures and pictures."""

from __future__ import annotations

import hmac
import re
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from vsr.errors import ConfigurationError

COOKIE = "vsr_token"

_TOKEN = re.compile(r"[A-Za-z0-9._~-]*")

SHORTEST_TOKEN = 16
"""Characters: 8 random bytes in hexadecimal digits."""


def read_token(path: Path | None, host: str) -> str | None:
    """The token that requests have to bring; None on the loopback without a file.

    Args:
        path: A file that holds the token and nothing else.
        host: The address that the server binds.

    Raises:
        ConfigurationError: The file is missing, too short, or needed and not given.
    """
    if path is None:
        if is_loopback(host):
            return None
        raise ConfigurationError(
            f"--status {host} can be reached from other machines; give --status-token FILE with "
            "a secret in it (`openssl rand -hex 16 > FILE`), or 127.0.0.1"
        )
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the token file '{path}' cannot be read ({error})") from error
    if len(token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"the token in '{path}' is not {SHORTEST_TOKEN} or more letters and digits; "
            "write one with `openssl rand -hex 16`"
        )
    return token


def has_token(token: str, authorization: str, cookies: str, query: str) -> bool:
    """Whether a request brings the token, as a bearer, a cookie, or in its query.

    Args:
        token: The token.
        authorization: The header of that name.
        cookies: The header ``Cookie``.
        query: The value of ``token`` in the query.
    """
    offered = [query, authorization.removeprefix("Bearer ").strip(), _cookie(cookies)]
    return any(hmac.compare_digest(one.encode(), token.encode()) for one in offered)


def is_own_host(header: str) -> bool:
    """Whether a request's ``Host`` names the loopback.

    A page from elsewhere can let its own name resolve to the loopback; the browser would then hand
    it the pictures.
    """
    try:
        asked = urlsplit(f"//{header}").hostname
    except ValueError:
        return False
    return not header or (asked is not None and is_loopback(asked))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, seen from itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
