"""Whether an address can be read, and whether its host exists."""

from __future__ import annotations

import socket
from urllib.parse import SplitResult, urlsplit

from vsr.address import is_address, shown
from vsr.errors import OpenError


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
            f"the host of {shown(address)} is not found ({reason}); check its name and the network"
        ) from error


def check_form(name: str) -> None:
    """Check that an address can be parsed.

    Raises:
        OpenError: It cannot be parsed.
    """
    resembles_address = shown(name) != name or is_address(name)
    if resembles_address and (not is_address(name) or _parts(name) is None):
        raise OpenError(f"{shown(name)} is no address; give scheme://host:port/path")


def _parts(address: str) -> SplitResult | None:
    """The parts of an address; None if its host or port cannot be parsed."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts
