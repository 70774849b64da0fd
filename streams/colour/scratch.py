"""Memory for what lies between the steps of a computation that is done again and again."""

from __future__ import annotations

import torch
from torch import Tensor


class Scratch:
    """Hands out tensors in turn, and after ``again`` the same ones, if the same are asked for.

    What is written over is in the cache already; memory that is new each time seldom is.

    Args:
        device: Where the tensors are wanted.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._tensors: dict[tuple[int, tuple[int, ...], torch.dtype], Tensor] = {}
        self._taken = 0

    def again(self) -> None:
        """Begin anew: what was taken before may be written over."""
        self._taken = 0

    def take(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """A contiguous tensor of whatever values."""
        self._taken += 1
        key = self._taken, shape, dtype
        found = self._tensors.get(key)
        if found is None:
            found = self._tensors[key] = torch.empty(shape, dtype=dtype, device=self._device)
        return found
