"""Comparison videos: input and result side by side or split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.offline.forwarding_reader import ForwardingReader
from vsr.offline.forwarding_writer import ForwardingWriter
from vsr.quality.montage import label, panel_size, side_by_side
from vsr.types import Chunk, Reader, Writer

Mode = Literal["side", "split"]
BEFORE, AFTER = "input", "restored"
_LINE = 2


class InputRecorder(ForwardingReader):
    """A reader that keeps its frames until the comparison takes them."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._frames: dict[int, Tensor] = {}

    def chunks(self, size: int) -> Iterator[Chunk]:
        for chunk in self._reader.chunks(size):
            self._frames |= dict(zip(chunk.pts, chunk.frames, strict=True))
            yield chunk

    def take(self, pts: int) -> Tensor:
        """Take the frame (3, H, W) at a pts; it and earlier frames are released."""
        found = self._frames[pts]
        for earlier in [known for known in self._frames.copy() if known <= pts]:
            del self._frames[earlier]
        return found


class ComparisonWriter(ForwardingWriter):
    """Writes each restored frame beside its input frame."""

    def __init__(self, writer: Writer, inputs: InputRecorder, mode: Mode) -> None:
        super().__init__(writer)
        self._inputs = inputs
        self._mode = mode

    def write(self, chunk: Chunk) -> None:
        for frame, pts in zip(chunk.frames, chunk.pts, strict=True):
            joined = compare_frames(self._inputs.take(pts), frame, self._mode)[None]
            one = replace(chunk, frames=joined, pts=(pts,), scene_starts=frozenset[int]())
            self._writer.write(one)


def compare_into(writer: Writer, inputs: InputRecorder, mode: Mode | None) -> Writer:
    """Wrap a writer for a comparison; returns it unchanged if none is wanted."""
    return writer if mode is None else ComparisonWriter(writer, inputs, mode)


def comparison_size(mode: Mode | None, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the comparison; unchanged without one."""
    if mode != "side":
        return height, width
    rows, columns = panel_size(height, width)
    return rows, 2 * columns


def compare_frames(before: Tensor, after: Tensor, mode: Mode) -> Tensor:
    """Compose one comparison frame.

    Args:
        before: Input (3, h, w), enlarged bicubically to the size of ``after``.
        after: Result (3, H, W).
        mode: ``side`` for side by side, cropped to the middle if they are large; ``split`` for
            the left half of the input and the right half of the result.

    Returns:
        A frame (3, H, W) of the size given by ``comparison_size``.
    """
    after = after.float()
    size = (after.shape[1], after.shape[2])
    enlarged = F.interpolate(before[None].to(after), size, mode="bicubic", antialias=True)[0]
    if mode == "side":
        return side_by_side([(BEFORE, enlarged), (AFTER, after)])
    middle = size[1] // 2
    left, right = label(enlarged[..., :middle], BEFORE), label(after[..., middle:], AFTER)
    left[..., -_LINE:] = 1
    return torch.cat([left, right], dim=-1)
