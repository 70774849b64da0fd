"""A sink that discards and counts frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vsr.types import Chunk


class NullWriter:
    """Discards.

    Attributes:
        frames: Frames written so far.
        packets: Packets of copied streams written so far.
    """

    notes: tuple[str, ...] = ()
    added_frames = 0

    def __init__(self) -> None:
        self.frames = 0
        self.packets = 0

    def write(self, chunk: Chunk) -> None:
        self.frames += len(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        self.packets += len(packets)

    def finish(self, *, partial: bool = False) -> str:
        return "null"

    def abort(self) -> None:
        pass
