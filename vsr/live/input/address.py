"""Addresses of sources and sinks: redaction of secrets and host lookup.

The last part of a path and the whole query count as secrets: a stream key, a pass phrase.
"""

from __future__ import annotations

import re
import socket
from urllib.parse import SplitResult, parse_qsl, urlsplit

from vsr.errors import OpenError
from vsr.streams.names.container import is_address

HIDDEN = "…"


def shown(address: str) -> str:
    """The address without its secrets; a path is returned unchanged."""
    if not is_address(address):
        return address
    parts = _parts(address)
    if parts is None:
        return f"{address.partition('://')[0]}://{HIDDEN}"
    host = parts.netloc.rpartition("@")[2]
    *folders, key = parts.path.lstrip("/").split("/")
    path = "/".join([*folders, HIDDEN] if key or parts.query else folders)
    return f"{parts.scheme}://{host}/{path}" if path else f"{parts.scheme}://{host}"


def without_secrets(text: str, *addresses: str) -> str:
    """Remove the secrets of addresses from a library's message.

    Args:
        text: The message.
        addresses: Addresses of sources and sinks; paths have no secrets.
    """
    for address in filter(is_address, addresses):
        text = text.replace(address, shown(address))
        for secret in sorted(_secrets(address), key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def check_host(address: str) -> None:
    """Check that an address's host name resolves.

    Raises:
        OpenError: It does not resolve (the message names the host), or the address is malformed.
    """
    if not is_address(address):
        return
    check_form(address)
    parts = urlsplit(address)
    if not parts.hostname:
        return
    try:
        socket.getaddrinfo(parts.hostname, parts.port)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OpenError(
            f"the host {parts.hostname!r} of {shown(address)} is not found ({reason}); "
            "check its name and the network"
        ) from error


def check_form(name: str) -> None:
    """Check that an address can be parsed.

    Raises:
        OpenError: It cannot be parsed.
    """
    if is_address(name) and _parts(name) is None:
        raise OpenError(f"{shown(name)} is no address; give scheme://host:port/path")


def _parts(address: str) -> SplitResult | None:
    """The parts of an address; None if its host cannot be parsed."""
    try:
        return urlsplit(address)
    except ValueError:
        return None


def _secrets(address: str) -> set[str]:
    parts = _parts(address)
    if parts is None:
        return {address.partition("://")[2]}
    found = {parts.path.rpartition("/")[2], parts.query, parts.password or ""}
    found |= {value for _, value in parse_qsl(parts.query)}
    # An address alone without a path names nothing secret.
    return {secret for secret in found if secret}
