"""Durations with their unit, as people write them."""

from __future__ import annotations

import re

from vsr.errors import ConfigurationError


def duration_s(text: str) -> float:
    """Seconds of a duration such as ``800ms`` or ``1.5s``.

    Raises:
        ConfigurationError: Something else, or nothing at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text.strip())
    if found is None or not float(found[1]):
        raise ConfigurationError(f"{text!r} is not a time; give 800ms or 1.5s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)
