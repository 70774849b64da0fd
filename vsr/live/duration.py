"""Parsing durations with units."""

from __future__ import annotations

import re

from vsr.errors import ConfigurationError


def duration_s(text: str) -> float:
    """Parse a duration such as ``800ms`` or ``1.5s`` into seconds.

    Raises:
        ConfigurationError: Another form, or zero.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text.strip())
    if found is None or not float(found[1]):
        raise ConfigurationError(f"{text!r} is not a time; give 800ms or 1.5s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)
