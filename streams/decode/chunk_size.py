"""How many frames a reader may be asked for at once."""

from __future__ import annotations

from vsr.errors import ConfigurationError


def check_chunk_size(size: int) -> None:
    """Refuse chunks of no frames.

    Raises:
        ConfigurationError: Fewer than one.
    """
    if size < 1:
        raise ConfigurationError(f"chunks of {size} frames were asked for; give 1 or more")
