"""Asynchronous transfer of frames between host and device.

On CUDA frames travel through pinned memory on streams of their own: one thread uploads frames,
another downloads restored ones, and neither makes the device or the thread that drives it wait. On
a CPU nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vsr.types import Chunk


@dataclass(frozen=True, kw_only=True, eq=False)
class PendingCopy:
    """A chunk whose copy may still be in progress.

    Attributes:
        chunk: Frames that must not be used before ``ready``.
        ready: CUDA event that ends the copy; None on a CPU.
    """

    chunk: Chunk
    ready: torch.cuda.Event | None

    def take(self) -> Chunk:
        """The chunk; work queued by this thread from now on waits for the copy."""
        if self.ready is not None:
            here = torch.cuda.current_stream(self.chunk.frames.device)
            here.wait_event(self.ready)
            self.chunk.frames.record_stream(here)
        return self.chunk


class Transfer:
    """Copies frames in one direction. Used by one thread.

    Args:
        device: Where the network is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def up(self, chunk: Chunk) -> PendingCopy:
        """Start copying a chunk to the device."""
        if self._stream is None:
            return PendingCopy(chunk=chunk, ready=None)
        with torch.cuda.stream(self._stream):
            frames = send(chunk.frames, self._device)
            ready = self._stream.record_event()
        return PendingCopy(chunk=replace(chunk, frames=frames), ready=ready)

    def down(self, pending: PendingCopy) -> Chunk:
        """Copy a chunk to host memory; only the calling thread waits."""
        if self._stream is None or pending.ready is None:
            return pending.chunk
        frames = pending.chunk.frames
        self._stream.wait_event(pending.ready)
        with torch.cuda.stream(self._stream):
            here = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
            here.copy_(frames, non_blocking=True)
            frames.record_stream(self._stream)
            arrived = self._stream.record_event()
        arrived.synchronize()
        return replace(pending.chunk, frames=here)


def restored_copy(chunk: Chunk) -> PendingCopy:
    """A restored chunk, with an event that marks the end of its computation."""
    frames = chunk.frames
    ready = torch.cuda.current_stream(frames.device).record_event() if frames.is_cuda else None
    return PendingCopy(chunk=chunk, ready=ready)


def wait_for(device: torch.device) -> None:
    """Wait until all work queued on a device has ended; returns at once on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def send(frames: Tensor, device: torch.device) -> Tensor:
    """Copy frames to a device as float32; to CUDA through pinned memory, without waiting."""
    if device.type == "cuda" and not frames.is_cuda:
        frames = frames.pin_memory().to(device, non_blocking=True)
    return frames.to(device, torch.float32)
