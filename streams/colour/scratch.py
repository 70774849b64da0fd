"""Scratch memory for intermediate results of a repeated computation."""

from __future__ import annotations

import torch
from torch import Tensor


class Scratch:
    """Hands out tensors in turn, and the same ones again after ``again``.

    Reused memory is in the cache; new memory seldom is.

    Args:
        device: Where the tensors are wanted.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._tensors: dict[tuple[int, tuple[int, ...], torch.dtype], Tensor] = {}
        self._taken = 0

    def again(self) -> None:
        """Start again: earlier tensors may be overwritten."""
        self._taken = 0

    def take(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """A contiguous, uninitialised tensor."""
        self._taken += 1
        key = self._taken, shape, dtype
        found = self._tensors.get(key)
        if found is None:
            found = self._tensors[key] = torch.empty(shape, dtype=dtype, device=self._device)
        return found
