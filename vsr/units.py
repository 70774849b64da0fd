"""Durations and sizes with units."""

from __future__ import annotations

import re

from vsr.errors import ConfigurationError

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_NUMBER = r"(\d+(?:\.\d+)?)"


def duration_s(text: str) -> float:
    """Parse a duration such as ``800ms``, ``1.5s`` or ``2h`` into seconds.

    Raises:
        ConfigurationError: Another form, or zero.
    """
    found = re.fullmatch(_NUMBER + f"({'|'.join(_SECONDS)})", text.strip())
    if found is None or not float(found[1]):
        raise ConfigurationError(f"{text!r} is not a time; give 800ms or 1.5s, also 10m, 2h, 7d")
    return float(found[1]) * _SECONDS[found[2]]


def size_bytes(text: str) -> int:
    """Parse a size such as ``50G``, ``50GB`` or ``50GiB``, all the same, into bytes; K is 1024.

    Raises:
        ConfigurationError: Another form, or zero.
    """
    found = re.fullmatch(_NUMBER + r"\s*(?:([KMGT])(?:i?B)?|B)", text.strip(), re.IGNORECASE)
    if found is None or not float(found[1]):
        raise ConfigurationError(f"{text!r} is not a size; give 800M, 50G or 1T")
    return round(float(found[1]) * _BYTES[(found[2] or "").upper()])
