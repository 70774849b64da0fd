"""Frames to a device and back while the device works on others.

On CUDA frames travel through pinned memory on streams of their own: one thread sends frames up,
another takes restored ones down, and neither makes the device or the thread that drives it wait. On
a CPU nothing moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vsr.types import Chunk


@dataclass(frozen=True, kw_only=True, eq=False)
class Moving:
    """A chunk whose frames are, or soon will be, where they were sent.

    Attributes:
        chunk: Its frames must not be touched before ``ready``.
        ready: What has to happen on the device first; None where nothing has.
    """

    chunk: Chunk
    ready: torch.cuda.Event | None

    def take(self) -> Chunk:
        """The chunk, to be used by work that this thread gives to the device from now on."""
        if self.ready is not None:
            here = torch.cuda.current_stream(self.chunk.frames.device)
            here.wait_event(self.ready)
            self.chunk.frames.record_stream(here)
        return self.chunk


class Transfer:
    """One direction of travel. Used by one thread.

    Args:
        device: Where the network is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def up(self, chunk: Chunk) -> Moving:
        """Send frames to the device."""
        if self._stream is None:
            return Moving(chunk=chunk, ready=None)
        with torch.cuda.stream(self._stream):
            frames = send(chunk.frames, self._device)
            ready = self._stream.record_event()
        return Moving(chunk=replace(chunk, frames=frames), ready=ready)

    def down(self, moving: Moving) -> Chunk:
        """Wait until frames are in host memory; only the calling thread waits."""
        if self._stream is None or moving.ready is None:
            return moving.chunk
        frames = moving.chunk.frames
        self._stream.wait_event(moving.ready)
        with torch.cuda.stream(self._stream):
            here = torch.empty(frames.shape, dtype=frames.dtype, pin_memory=True)
            here.copy_(frames, non_blocking=True)
            frames.record_stream(self._stream)
            arrived = self._stream.record_event()
        arrived.synchronize()
        return replace(moving.chunk, frames=here)


def leaving(chunk: Chunk) -> Moving:
    """A chunk that this thread has just given the device to restore."""
    frames = chunk.frames
    ready = torch.cuda.current_stream(frames.device).record_event() if frames.is_cuda else None
    return Moving(chunk=chunk, ready=ready)


def wait_for(device: torch.device) -> None:
    """Wait until a device has done all it was given; what a CPU was given is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def send(frames: Tensor, device: torch.device) -> Tensor:
    """Frames on a device, float32; to CUDA through pinned memory, without waiting."""
    if device.type == "cuda" and not frames.is_cuda:
        frames = frames.pin_memory().to(device, non_blocking=True)
    return frames.to(device, torch.float32)
