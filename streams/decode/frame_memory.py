"""Memory for decoded frames that is used again."""

from __future__ import annotations

import weakref
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

Block = np.ndarray[Any, np.dtype[np.float32]]


class FrameMemory:
    """Hands out memory for frames, and again once no tensor refers to it.

    The system clears every page of new memory, which takes half as long as converting a frame.
    What is kept is what was once in use at the same time. For a CPU; other devices have allocators
    of their own.

    Args:
        device: Where the frames are wanted.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._free: list[Block] = []

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """A tensor of this shape, float32, contiguous, of whatever values."""
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
