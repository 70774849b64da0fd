"""Building chunks from decoded frames, all scaled to the size of the first one."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from math import prod
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.streams.colour.planes import DecodedFrame, FrameFormat, convert
from vsr.types import Chunk


def check_chunk_size(size: int) -> None:
    """Refuse chunks of no frames.

    Raises:
        ConfigurationError: Fewer than one.
    """
    if size < 1:
        raise ConfigurationError(f"chunks of {size} frames were asked for; give 1 or more")


Block = np.ndarray[Any, np.dtype[np.float32]]


class FrameMemory:
    """Memory for frames, reused once no tensor refers to it.

    The system clears every page of new memory, which takes half as long as converting a frame.
    As many tensors are kept as were once in use at the same time. For a CPU; other devices have
    allocators of their own.

    Args:
        device: Where the frames are wanted.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._free: list[Block] = []

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """A contiguous, uninitialised float32 tensor of this shape."""
        if self._device.type != "cpu":
            return torch.empty(shape, dtype=torch.float32, device=self._device)
        block = self._find(prod(shape))
        # A new object each time, which the tensor and all its views keep alive.
        lent = block[: prod(shape)].reshape(shape)
        weakref.finalize(lent, self._free.append, block).atexit = False
        return torch.from_numpy(lent)

    def _find(self, size: int) -> Block:
        while self._free:
            block = self._free.pop()
            if len(block) >= size:
                return block
        return np.empty(size, np.float32)


class ChunkBuilder:
    """Builds the chunks of one stream.

    Attributes:
        size_changes: Times that a frame had another size than the one before.
    """

    def __init__(
        self,
        time_base: Fraction,
        size: tuple[int, int],
        device: torch.device,
        *,
        headroom: bool = False,
    ) -> None:
        self._time_base = time_base
        self._size = size
        self._headroom = headroom
        self._memory = FrameMemory(device)
        self._last_size = size
        self.size_changes = 0

    def build(self, frames: Sequence[DecodedFrame]) -> Chunk:
        """Make a chunk of consecutive frames; a new size is scaled to the first, as a new scene."""
        runs = groupby(frames, key=lambda frame: frame.picture)
        parts = [self._convert(picture, list(run)) for picture, run in runs]
        return Chunk(
            frames=parts[0] if len(parts) == 1 else torch.cat(parts),
            pts=tuple(frame.pts for frame in frames),
            time_base=self._time_base,
            scene_starts=self._size_changes(frames),
        )

    def _convert(self, picture: FrameFormat, frames: Sequence[DecodedFrame]) -> Tensor:
        stored = self._memory.take((len(frames), 3, picture.height, picture.width))
        pixels = convert(frames, stored, headroom=self._headroom)
        if picture.shown_size == self._size:
            return pixels
        scaled = F.interpolate(pixels, self._size, mode="bicubic", antialias=True)
        return scaled if self._headroom else scaled.clamp_(0, 1)

    def _size_changes(self, frames: Sequence[DecodedFrame]) -> frozenset[int]:
        changes = set()
        for index, frame in enumerate(frames):
            if frame.picture.shown_size != self._last_size:
                self._last_size = frame.picture.shown_size
                self.size_changes += 1
                changes.add(index)
        return frozenset(changes)
