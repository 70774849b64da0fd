"""The media edges: readers, writers, colour, and the ffmpeg process behind them.

Names are imported when they are first used: file names and the ffmpeg process need no torch.
"""

from __future__ import annotations

if __name__ != "vsr.streams":
    raise ImportError(
        f"{__name__!r} is a folder of the project, not a package: import vsr.streams instead"
    )

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vsr.streams.decode.random_access import open_random_access
    from vsr.streams.open import open_reader, open_writer

_HOMES = {
    "open_random_access": "vsr.streams.decode.random_access",
    "open_reader": "vsr.streams.open",
    "open_writer": "vsr.streams.open",
}

__all__ = ["open_random_access", "open_reader", "open_writer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vsr.streams' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
