"""Writers that change or watch frames and forward everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from vsr.types import Chunk, Writer


class ForwardingWriter:
    """Forwards everything to another writer; a subclass changes the frames.

    Args:
        writer: Writer that receives frames and packets.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.notes: Sequence[str] = writer.notes

    @property
    def added_frames(self) -> int:
        return self._writer.added_frames

    def write(self, chunk: Chunk) -> None:
        self._writer.write(chunk)

    def write_packets(self, packets: Sequence[Any]) -> None:
        self._writer.write_packets(packets)

    def finish(self, *, partial: bool = False) -> str:
        return self._writer.finish(partial=partial)

    def abort(self) -> None:
        self._writer.abort()


class WatchedWriter(ForwardingWriter):
    """Shows the last frame (3, H, W) of every chunk to a function, in the encoding thread."""

    def __init__(self, writer: Writer, on_frame: Callable[[Tensor], None]) -> None:
        super().__init__(writer)
        self._on_frame = on_frame

    def write(self, chunk: Chunk) -> None:
        super().write(chunk)
        self._on_frame(chunk.frames[-1])


class MapWriter(ForwardingWriter):
    """Writes, beside the result, where the faithful of two results is shown: white on black.

    Args:
        writer: Writer of the result.
        maps: Writer of the maps, of frames of the network's output size.
    """

    def __init__(self, writer: Writer, maps: Writer) -> None:
        super().__init__(writer)
        self._maps = maps

    def write(self, chunk: Chunk) -> None:
        if chunk.guarded is None:  # frames that were only enlarged
            grey = chunk.frames.new_zeros(1).expand(chunk.frames.shape)
        else:
            grey = chunk.guarded[:, None].float().div(255).expand(-1, 3, -1, -1)
        self._maps.write(replace(chunk, frames=grey))
        super().write(chunk)

    def finish(self, *, partial: bool = False) -> str:
        self._maps.finish(partial=partial)
        return super().finish(partial=partial)

    def abort(self) -> None:
        self._maps.abort()
        super().abort()
