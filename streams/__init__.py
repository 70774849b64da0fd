"""The media edges: readers, writers, colour, and the ffmpeg process behind them."""

if __name__ != "vsr.streams":
    raise ImportError(
        f"{__name__!r} is a folder of the project, not a package: import vsr.streams instead"
    )

from vsr.streams.decode.random_access import open_random_access
from vsr.streams.open import open_reader, open_writer

__all__ = ["open_random_access", "open_reader", "open_writer"]
