"""Whether what a connection sends has a picture."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from av import Packet
from av.stream import Stream

from vsr.errors import StreamTimeout

PICTURE_TIMEOUT_S = 15.0
"""A source that sends other packets for longer, but none of the picture, is connected to anew."""


def watched(packets: Iterable[Packet[Stream]], picture: int, name: str) -> Iterator[Packet[Stream]]:
    """Hand packets on while some are of the picture.

    Only the time spent waiting for packets counts: whoever takes them may be busy for long.

    Args:
        packets: As they arrive.
        picture: Index of the picture's stream.
        name: Of the source, as errors show it.

    Raises:
        StreamTimeout: There has been no picture for ``PICTURE_TIMEOUT_S``.
    """
    missed_s, began = 0.0, time.monotonic()
    for packet in packets:
        missed_s += time.monotonic() - began
        if packet.stream_index == picture:
            missed_s = 0.0
        elif missed_s > PICTURE_TIMEOUT_S:
            raise StreamTimeout(f"{name} sent sound but no picture for {PICTURE_TIMEOUT_S:g} s")
        yield packet
        began = time.monotonic()
