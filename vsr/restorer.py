"""One stream through one network: frames in, restored frames out, state kept in between.

    frames   0 1 2 3 4 5 6 7 8 9 10 11 ...
    step 1   [------ keep ------][ look-ahead ]          state: features at 7, flows of 8 to 11
    step 2                    8  [------ keep ------][ look-ahead ]

The forward branch goes on from the state. The backward branch starts at the end of the window: what
it misses is what lies behind the look-ahead, nothing else. Nothing crosses the start of a scene.

T time, H, W size.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import torch
from torch import Tensor

from vsr.errors import ConfigurationError
from vsr.memory import is_out_of_memory
from vsr.models.imresize import imresize
from vsr.models.network import Network
from vsr.models.placement import place
from vsr.types import Chunk

log = logging.getLogger(__name__)

FULL: Final = "full"
"""Look-ahead to the end of the scene: as good as the whole clip, the scene held in memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    """One frame that waits: (3, H, W), its pts, whether a scene starts with it."""

    pixels: Tensor
    pts: int
    starts_scene: bool


class Restorer:
    """Restores one stream. Not thread-safe; any number of restorers may share one network.

    Args:
        network: Any network; it is copied only if it has to change its device or precision.
        chunk: Frames restored per step; None takes what suits the network.
        look_ahead: Future frames a step sees beyond its chunk, ``"full"`` for all up to the end of
            the scene; None takes what suits the network. Latency is chunk + look-ahead frames.
        device: ``"auto"`` (CUDA where there is one), or a torch device.
        precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Attributes:
        passed_through: Frames that did not fit into memory and were enlarged without the network.
        scenes: Scenes that began.

    Raises:
        ConfigurationError: A chunk under 1, a negative look-ahead, an unknown device or precision.
    """

    def __init__(
        self,
        network: Network[Any],
        *,
        chunk: int | None = None,
        look_ahead: int | str | None = None,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        self.chunk = network.facts.chunk if chunk is None else chunk
        self.look_ahead = _look_ahead(
            network.facts.look_ahead if look_ahead is None else look_ahead
        )
        if self.chunk < 1:
            raise ConfigurationError(f"chunk is {self.chunk}; a step restores 1 frame or more")
        self.network, self.device = place(network, device=device, precision=precision)
        self._waiting: deque[_Frame] = deque()
        self._time_base = Fraction(1)
        self._state: Any = None
        self._at_scene_start, self._ended = True, False
        self.passed_through = 0
        self.scenes = 0

    @property
    def num_waiting(self) -> int:
        """Frames that entered and have not left."""
        return len(self._waiting)

    def push(self, chunk: Chunk) -> list[Chunk]:
        """Take frames, and return those that could be restored, at most ``chunk`` in a piece.

        Args:
            chunk: Frames of any number, float, on any device; all of one size until ``reset``.
        """
        self._time_base = chunk.time_base
        for i, (pixels, pts) in enumerate(zip(chunk.frames, chunk.pts, strict=True)):
            self._waiting.append(
                _Frame(pixels=pixels, pts=pts, starts_scene=i in chunk.scene_starts)
            )
        return self._restore_ready()

    def drain(self) -> list[Chunk]:
        """Restore what waits, the stream having ended; the next push starts another scene."""
        self._ended = True
        restored = self._restore_ready()
        self._ended, self._at_scene_start = False, True
        return restored

    def reset(self) -> None:
        """Forget the stream, frames that wait and counts included."""
        self._waiting.clear()
        self._state, self._at_scene_start = None, True
        self.passed_through = self.scenes = 0

    def _restore_ready(self) -> list[Chunk]:
        restored = []
        while num_keep := self._num_ready():
            restored.append(self._step(num_keep))
        return restored

    def _num_ready(self) -> int:
        """Frames the next step can restore: a chunk, or what is left of a scene that ended."""
        in_scene = self._num_in_scene()
        if self._scene_ended():
            return min(self.chunk, in_scene)
        if self.look_ahead is None:
            return 0
        needed = self.chunk + self.look_ahead + self.network.facts.sees_end
        return self.chunk if in_scene >= needed else 0

    def _scene_ended(self) -> bool:
        """Whether the last frame of the scene in front is here."""
        return self._ended or self._num_in_scene() < len(self._waiting)

    def _num_in_scene(self) -> int:
        """Waiting frames that belong to the scene of the first of them."""
        later = (i for i, frame in enumerate(self._waiting) if i and frame.starts_scene)
        return next(later, len(self._waiting))

    def _step(self, num_keep: int) -> Chunk:
        """Restore the next frames, or fewer of them where memory does not suffice."""
        if self._at_scene_start or self._waiting[0].starts_scene:
            self._state, self._at_scene_start = None, False
            self.scenes += 1
        while True:
            try:
                return self._leave(self._restore(num_keep), num_keep)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            if not self._shrink():
                self._state = None
                self.passed_through += 1
                return self._leave(self._enlarge(), 1)
            num_keep = min(num_keep, self.chunk)

    @torch.inference_mode()
    def _restore(self, num_keep: int) -> Tensor:
        """(num_keep, 3, scale H, scale W); the state is replaced only if that succeeds."""
        in_scene = self._num_in_scene()
        seen = in_scene if self.look_ahead is None else min(in_scene, num_keep + self.look_ahead)
        window = torch.stack([self._waiting[i].pixels for i in range(seen)])
        window_1TCHW = window.to(self.device, torch.float32)[None]
        restored, self._state = self.network.step(
            window_1TCHW, self._state, num_keep, ends_scene=seen == in_scene and self._scene_ended()
        )
        return restored[0]

    def _shrink(self) -> bool:
        """Halve what a step takes, for the rest of the stream; False where that is impossible."""
        if self.chunk == 1 and self.look_ahead == 0:
            return False
        self.look_ahead = (self.chunk if self.look_ahead is None else self.look_ahead) // 2
        self.chunk = max(1, self.chunk // 2)
        log.warning(
            "out of memory: going on with chunk %d, look-ahead %d", self.chunk, self.look_ahead
        )
        return True

    def _enlarge(self) -> Tensor:
        """The next frame without the network, bicubic: a frame is never dropped."""
        log.warning(
            "out of memory for a single frame: pts %d is only enlarged", self._waiting[0].pts
        )
        return imresize(self._waiting[0].pixels[None].float(), self.network.facts.scale)

    def _leave(self, frames: Tensor, num_keep: int) -> Chunk:
        left = [self._waiting.popleft() for _ in range(num_keep)]
        return Chunk(
            frames=frames,
            pts=tuple(frame.pts for frame in left),
            time_base=self._time_base,
            scene_starts=frozenset(i for i, frame in enumerate(left) if frame.starts_scene),
        )


def _look_ahead(asked: int | str) -> int | None:
    """Frames; None for all of the scene."""
    if asked == FULL:
        return None
    if isinstance(asked, str) or asked < 0:
        raise ConfigurationError(f"look-ahead is {asked!r}; give 0 or more frames, or '{FULL}'")
    return asked
