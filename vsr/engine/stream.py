"""All that belongs to one stream: frames that wait, state, guard, sizes, counts."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import torch

from vsr.engine.device_transfer import send
from vsr.engine.divergence import Fault, Guard
from vsr.engine.settings import Settings
from vsr.engine.state_tree import after_gap
from vsr.engine.tiling import finer
from vsr.engine.window import Step, Timeline, enter
from vsr.models.network import NetworkFacts
from vsr.models.ops.imresize import imresize
from vsr.types import Chunk

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Counts:
    """What happened to a stream.

    Attributes:
        scenes: Scenes that began.
        passed_through: Frames that were enlarged without the network.
        resets: Times the state was discarded: it had diverged, or the tiles changed.
        retries: Steps that were repeated with smaller settings after memory ran out.
    """

    scenes: int = 0
    passed_through: int = 0
    resets: int = 0
    retries: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            scenes=self.scenes + other.scenes,
            passed_through=self.passed_through + other.passed_through,
            resets=self.resets + other.resets,
            retries=self.retries + other.retries,
        )


class Stream:
    """One stream, without the network that restores it.

    Args:
        facts: Of the network.
        settings: Sizes of its steps; may be replaced between steps.
        device: Where the network is.

    Attributes:
        state: What the last step returned; None where the next one starts anew.
        timeline: Frames that wait.
        guard: Watches the state.
        counts: What happened so far.
        limit: What it was last kept within.
    """

    def __init__(self, facts: NetworkFacts, settings: Settings, device: torch.device) -> None:
        self.facts, self.settings, self.device = facts, settings, device
        self.limit: Settings | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything but the settings."""
        self.timeline, self.guard, self.counts = Timeline(), Guard(), Counts()
        self.state: Any = None
        self._doubt: Fault | None = None

    def push(self, chunk: Chunk) -> None:
        """Append frames, which go to the device; errors as of ``Timeline.push``."""
        self.timeline.push(self.receive(chunk))

    def receive(self, chunk: Chunk) -> Chunk:
        """Frames that can be pushed, on the device; none is taken yet. Errors as of ``push``."""
        enter(chunk, self.timeline.entered)
        return replace(chunk, frames=send(chunk.frames, self.device))

    def end(self) -> None:
        """No more frames come; once all have left, the next one starts another scene."""
        self.timeline.ended = True

    def begin_anew(self) -> None:
        """Undo ``end``, all frames having left."""
        self.timeline.ended, self.timeline.at_scene_start = False, True
        self.timeline.entered = None

    def next_step(self) -> Step | None:
        """What can be restored now; None where frames are missing."""
        return self.timeline.next_step(self.settings, sees_end=self.facts.sees_end)

    def past(self, step: Step) -> Any:
        """The state a step goes on from, unless it has diverged, or the step is to show that."""
        fault = self.guard.judge()
        if fault is not None:
            self._suspect(fault)
        if step.starts_scene:
            self.guard.overlook()
            self._doubt = None
        return None if step.starts_scene or self._doubt else self.state

    def settle(self, past: Any, restored: torch.Tensor, state: Any) -> Chunk | None:
        """Take the result of a step.

        Args:
            past: The state it went on from.
            restored: (T, 3, H, W).
            state: The one it returned.

        Returns:
            The restored frames; None where the step has to be repeated: without the past if that
            may be what has made the state diverge, with it if that turned out not to be so.
        """
        self.guard.watch(state, restored)
        if self._is_in_the_pictures():
            return None
        # A network that keeps no state never has a past: to wait would be to wait at every step.
        fault = self.guard.judge(wait=past is None and state is not None)
        if fault is None:
            self.state = state
            return self._leave(restored)
        if past is not None:
            self._suspect(fault)
            return None
        self.guard.forgive()
        if fault.finite:
            self.state = state
            return self._leave(restored)
        return self.give_up(len(restored), "the network output is NaN or Inf")

    def smaller(self) -> Settings | None:
        """Sizes with which a step takes less memory, tiles coming last; None where there are none.

        Frames have to be here.
        """
        height, width = self.timeline.frames[0].pixels.shape[-2:]
        radius = self.facts.receptive_radius
        return self.settings.smaller() or finer(self.settings, height, width, radius)

    def shrink(self) -> bool:
        """Go on with smaller steps, having run out of memory; False where that is impossible."""
        self.counts.retries += 1
        smaller = self.smaller()
        if smaller is None:
            return False
        log.warning("out of memory: going on with %s", smaller)
        self.resize(smaller)
        return True

    def resize(self, settings: Settings) -> None:
        """Take steps of other sizes from now on; in other tiles without the state so far."""
        old, self.settings = self.settings, settings
        if old.tiles != settings.tiles and self.state is not None:
            self.counts.resets += 1
            self.state = None
            log.warning(
                "tiles %s in place of %s: their state starts anew", settings.tiles, old.tiles
            )

    def give_up(self, num_frames: int, reason: str) -> Chunk:
        """Enlarge frames that cannot be restored: none is ever dropped."""
        first = self.timeline.frames[0].pts
        log.warning("%s: %d frames from pts %d are only enlarged", reason, num_frames, first)
        self.state = self._doubt = None
        return self._enlarge(num_frames)

    def pass_through(self) -> list[Chunk]:
        """All frames that wait, enlarged; of the state, what still holds behind them is kept."""
        waiting = list(self.timeline.frames)
        starts = self.timeline.at_scene_start or any(frame.starts_scene for frame in waiting)
        left = []
        while num_left := min(self.settings.chunk, len(self.timeline.frames)):
            left.append(self._enlarge(num_left))
        if waiting:
            self.state = None if starts else after_gap(self.state)
        return left

    def keep_within(self, limit: Settings) -> None:
        """Take no more per step than a limit; once for each, so that sizes can be changed again.

        Args:
            limit: What another stream of such frames was left with when memory ran out.
        """
        if limit is not self.limit:
            self.limit = limit
            self.resize(self.settings.within(limit))

    def _enlarge(self, num_frames: int) -> Chunk:
        self.counts.passed_through += num_frames
        return self._leave(imresize(self.timeline.window(num_frames), self.facts.scale))

    def _leave(self, restored: torch.Tensor) -> Chunk:
        unmarked = self.timeline.at_scene_start and not self.timeline.frames[0].starts_scene
        chunk = self.timeline.leave(restored)
        self.counts.scenes += len(chunk.scene_starts) + unmarked
        return chunk

    def _suspect(self, fault: Fault) -> None:
        """Take the next step without the past: it is at fault, or that will show whether it is."""
        if fault.finite:
            self._doubt = fault
        else:
            self._restart(fault)

    def _is_in_the_pictures(self) -> bool:
        """Whether a step without state showed that the content caused the growth."""
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return False
        if self.guard.is_in_the_pictures(doubt):
            self.guard.forgive()
            return True
        self._restart(doubt)
        return False

    def _restart(self, fault: Fault) -> None:
        self.counts.resets += 1
        self.state = None
        next_pts = self.timeline.frames[0].pts
        log.warning("the state %s: starting anew at pts %d", fault.reason, next_pts)
