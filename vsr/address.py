"""Addresses of sources and targets, and their form without secrets.

A stream key may stand anywhere in an address: in any part of the path, in the query, before the
host. So the scheme, the host and the port are all that is ever shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from vsr.errors import ConfigurationError

HIDDEN = "…"

_SCHEME = r"(?<![A-Za-z0-9])(?!file:)(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+"
_ADDRESS = re.compile(rf"{_SCHEME}(?P<rest>.*)", re.DOTALL)
_ADDRESS_IN_TEXT = re.compile(rf"{_SCHEME}\S*")
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\])(?::\d{1,5})?")
_SEPARATORS = re.compile(r"[/?#&=@:;,'\"\s\\]")
_CLOSING = "'\")]>,;:."

_SHORTEST_SECRET = 3
"""Characters: parts of an address that are shorter would be found all over a message."""


def as_name(given: str | os.PathLike[str]) -> str:
    """The name of a source or target as text.

    Raises:
        ConfigurationError: It is neither text nor a path, such as an array of frames.
    """
    if isinstance(given, (str, os.PathLike)):
        return os.fspath(given)
    raise ConfigurationError(
        f"{type(given).__name__} was given for a source or target; give the name of a file, folder "
        "or address as str or Path (frames in memory go through vsr.Restorer)"
    )


def is_address(source: str) -> bool:
    """Whether the source is a URL such as ``rtmp://…`` instead of a path."""
    scheme, found, _ = source.partition("://")
    return bool(found) and scheme.replace("+", "").isalnum()


def names_file(source: str) -> bool:
    """Whether the source is a file that exists; an address may be too long for a path."""
    return not is_address(source) and Path(source).is_file()


def shown(name: str) -> str:
    """An address as scheme, host and port; a path as it is.

    Args:
        name: What a user gave as a source or target. What only resembles an address (a blank in
            front, one slash too few) is taken for one.
    """
    found = _ADDRESS.search(name)
    if found is None or not found["rest"].strip():
        return name
    authority = re.split(r"[/?#]", found["rest"], maxsplit=1)
    host = authority[0].rpartition("@")[2]
    has_rest = bool("".join(authority[1:]).strip())
    # An @ further on may end a password with a slash in it: the host is not known then.
    if not _HOST.fullmatch(host) or "@" in "".join(authority[1:]):
        return f"{found['scheme']}://{HIDDEN}"
    slash = "/" if has_rest or found["rest"].endswith("/") else ""
    return f"{found['scheme']}://{host}{slash}{HIDDEN if has_rest else ''}"


def redact(text: str, *addresses: str) -> str:
    """A message without secrets: those of known addresses, and of every address that is in it.

    Args:
        text: Anything, several lines too.
        addresses: Sources and targets whose parts may stand in it by themselves; paths have no
            secrets.
    """
    known = [address for address in addresses if _ADDRESS.search(address)]
    for address in sorted(known, key=len, reverse=True):
        for form in {address, repr(address)[1:-1], address.strip()}:
            text = text.replace(form, shown(address))
    for secret in sorted({s for a in known for s in _secrets(a)}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", lambda _: HIDDEN, text)
    return _ADDRESS_IN_TEXT.sub(_shown_in_text, text)


def _shown_in_text(found: re.Match[str]) -> str:
    address = found[0].rstrip(_CLOSING)
    return shown(address) + found[0][len(address) :]


def _secrets(address: str) -> Iterator[str]:
    """Parts of an address before and behind the host, whole and in pieces."""
    found = _ADDRESS.search(address)
    assert found is not None
    host = shown(address).partition("://")[2].partition("/")[0]
    rest = found["rest"]
    words = set(_SEPARATORS.split(rest)) - {host, *host.split(":"), found["scheme"]}
    stems = {word.rpartition(".")[0] for word in words}
    wholes = {rest, rest.partition("/")[2], *re.split(r"[/?#]", rest)}
    wholes -= {host, f"{found['scheme']}:"}
    values = {value for _, value in parse_qsl(_query(address))}
    for part in words | stems | wholes | values:
        yield from (form for form in _written(part) if len(form) >= _SHORTEST_SECRET)


def _written(part: str) -> set[str]:
    """A part of an address as it is, decoded, and encoded."""
    return {part, unquote(part), quote(part, safe=""), quote(unquote(part), safe="")}


def _query(address: str) -> str:
    try:
        return urlsplit(address).query
    except ValueError:
        return ""
