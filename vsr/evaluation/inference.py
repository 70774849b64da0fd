"""Restoring one clip: streamed, whole, or as a mean of several passes.

T time, C colour, H, W size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vsr.engine.device_transfer import wait_for
from vsr.errors import OpenError
from vsr.evaluation.clips import Clip
from vsr.evaluation.ensembles import FLIP, EnsemblePasses, InferenceMode
from vsr.models.network import Network
from vsr.quality.degradation import degrade

SLIDING = frozenset({"edvr", "cascade", "bicubic", "identity"})
"""Networks that see a window around each frame: a mirrored clip tells them nothing new, and the
published figures of Vimeo-90K-T do without."""

READ_AT_ONCE = 8
"""Frames read and degraded at once."""


@dataclass(frozen=True, eq=False)
class Restored:
    """Consecutive frames that are scored: (T, 3, h, w), (T, 3, H, W) and (T, 3, H, W)."""

    low: Tensor
    frames: Tensor
    truth: Tensor


class ClipRestorer:
    """Restores clips with a placed network.

    Attributes:
        seconds: Time spent in the network since it was last set to 0.
        passed_through: Frames that were only enlarged, not restored.
    """

    def __init__(self, network: Network[Any], device: torch.device, way: InferenceMode) -> None:
        self.network, self.device, self.way = network, device, way
        self.scale = network.facts.scale
        self.seconds, self.passed_through = 0.0, 0

    def restore(self, clip: Clip) -> Iterator[Restored]:
        """The clip's scored frames, in order.

        Raises:
            OpenError: Ground truth and input do not have the network's ratio.
            DecodeError: A frame that cannot be read.
        """
        mirrored = clip.mirrored and self.network.facts.name not in SLIDING
        if mirrored or len(clip.scored) < len(clip.low.names) or FLIP in self.way.ensemble:
            yield from self._restore_at_once(clip, mirrored)
        else:
            yield from self._restore_in_order(clip)

    def _restore_in_order(self, clip: Clip) -> Iterator[Restored]:
        """Every frame in order, with as few in memory as the network allows."""
        waiting = _Waiting()
        passes = self._passes(len(clip.low.names))
        for low, truth in _read(clip, self.scale):
            waiting.add(low, truth)
            yield from waiting.take(self._timed(partial(passes.push, low)))
        yield from waiting.take(self._timed(passes.drain))
        self.passed_through += passes.passed_through

    def _restore_at_once(self, clip: Clip, mirrored: bool) -> Iterator[Restored]:
        """The clip held in memory: some ways need its end before its beginning."""
        read = list(_read(clip, self.scale))
        low = torch.cat([part for part, _ in read])
        frames = self._timed(lambda: [self._both_directions(low, mirrored)])[0]
        scored = list(clip.scored)
        if len(scored) < len(low):
            truth = _fit(clip.truth.read(0, len(scored)), low, self.scale, clip.name)
        else:
            truth = torch.cat([part for _, part in read])
        yield Restored(low[scored], frames[scored], truth)

    def _both_directions(self, low: Tensor, mirrored: bool) -> Tensor:
        """All frames; the mean of every way the clip is seen."""
        seen = torch.cat([low, low.flip(0)]) if mirrored else low
        frames = self._pass(seen)
        if FLIP in self.way.ensemble:
            frames = (frames + self._pass(seen.flip(0)).flip(0)) / 2
        return (frames + frames.flip(0))[: len(low)] / 2 if mirrored else frames

    def _pass(self, low: Tensor) -> Tensor:
        passes = self._passes(len(low))
        restored = [*passes.push(low), *passes.drain()]
        self.passed_through += passes.passed_through
        return torch.cat(restored)

    def _passes(self, num_frames: int) -> EnsemblePasses:
        return EnsemblePasses(self.network, self.device, self.way, num_frames)

    def _timed(self, work: Callable[[], list[Tensor]]) -> list[Tensor]:
        started = time.perf_counter()
        done = work()
        wait_for(self.device)
        self.seconds += time.perf_counter() - started
        return done


class _Waiting:
    """Input and ground truth of the frames in the network."""

    def __init__(self) -> None:
        self._low: list[Tensor] = []
        self._truth: list[Tensor] = []

    def add(self, low: Tensor, truth: Tensor) -> None:
        self._low += low.unbind()
        self._truth += truth.unbind()

    def take(self, restored: Sequence[Tensor]) -> Iterator[Restored]:
        for frames in restored:
            count = len(frames)
            low, self._low = self._low[:count], self._low[count:]
            truth, self._truth = self._truth[:count], self._truth[count:]
            yield Restored(torch.stack(low), frames, torch.stack(truth))


def _read(clip: Clip, scale: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Input (degraded here where there is none) and ground truth, a few frames at a time.

    Ground truth of clips that are scored in part is not read here, an empty tensor instead.
    """
    for start in range(0, len(clip.low.names), READ_AT_ONCE):
        stop = min(start + READ_AT_ONCE, len(clip.low.names))
        low = clip.low.read(start, stop)
        complete = len(clip.scored) == len(clip.low.names)
        if clip.make is not None:
            truth = _trim(low, scale)
            yield degrade(truth, scale, clip.make), truth if complete else low[:0]
        elif complete:
            yield low, _fit(clip.truth.read(start, stop), low, scale, clip.name)
        else:
            yield low, low[:0]


def _trim(truth: Tensor, scale: int) -> Tensor:
    """Crop the last rows and columns where a side is not a multiple of the scale."""
    height, width = (side // scale * scale for side in truth.shape[-2:])
    return truth[..., :height, :width]


def _fit(truth: Tensor, low: Tensor, scale: int, clip: str) -> Tensor:
    """Ground truth cropped to the size of the network's output."""
    trimmed = _trim(truth, scale)
    wanted = [side * scale for side in low.shape[-2:]]
    if list(trimmed.shape[-2:]) != wanted:
        (height, width), (h, w) = truth.shape[-2:], low.shape[-2:]
        raise OpenError(
            f"clip {clip!r}: ground truth of {width}x{height} is not {scale} times its input of "
            f"{w}x{h}; give a network of another scale, or other input"
        )
    return trimmed
