"""One stream: waiting frames, recurrent state, divergence guard, step sizes and counts."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import torch

from vsr.engine.device_transfer import send
from vsr.engine.divergence import Divergence, DivergenceGuard
from vsr.engine.settings import Settings
from vsr.engine.tiling import faithful_share, finer, replaces_artefacts
from vsr.engine.window import Step, Timeline, accept
from vsr.models.network import NetworkFacts
from vsr.models.ops.imresize import imresize
from vsr.models.state_tree import after_gap
from vsr.types import Chunk

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Counts:
    """Counts of one stream.

    Attributes:
        scenes: Number of scenes started.
        passed_through: Frames enlarged without the network.
        resets: Times the state was discarded, after divergence or a change of tiles.
        retries: Steps repeated with smaller settings after memory ran out.
        blank: Frames of a single colour that the network made from pictures.
        guarded: Frames in which a guard has replaced artefacts.
    """

    scenes: int = 0
    passed_through: int = 0
    resets: int = 0
    retries: int = 0
    blank: int = 0
    guarded: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            scenes=self.scenes + other.scenes,
            passed_through=self.passed_through + other.passed_through,
            resets=self.resets + other.resets,
            retries=self.retries + other.retries,
            blank=self.blank + other.blank,
            guarded=self.guarded + other.guarded,
        )


EVERY = 4
"""One pixel in so many rows and columns of the input is looked at for pictures without content."""

FLAT, TEXTURED = 1e-3, 0.1
"""Largest range of values of a frame of a single colour, and least of a picture."""


GUARDED = 127
"""Least share of a faithful result, of 255, that counts as an artefact replaced."""


def _range(frames: torch.Tensor) -> torch.Tensor:
    """Largest range of a colour's values in each frame (T, 3, H, W); 0 for NaN."""
    low, high = frames.float().flatten(2).aminmax(dim=2)
    return (high - low).amax(dim=1)


class Stream:
    """One stream, without the network that restores it.

    Args:
        facts: Facts of the network.
        settings: Step sizes; may be replaced between steps.
        device: Device of the network.

    Attributes:
        state: State returned by the last step; None at a scene start.
        timeline: Waiting frames.
        guard: Checks the state for divergence.
        counts: Counts so far.
        limit: The last limit applied by ``limit_to``.
    """

    def __init__(self, facts: NetworkFacts, settings: Settings, device: torch.device) -> None:
        self.facts, self.settings, self.device = facts, settings, device
        self.limit: Settings | None = None
        self.reset()

    def reset(self) -> None:
        """Discard everything except the settings."""
        self.timeline, self.guard, self.counts = Timeline(), DivergenceGuard(), Counts()
        self.state: Any = None
        self._doubt: Divergence | None = None

    def push(self, chunk: Chunk) -> None:
        """Append frames, sent to the device; errors as for ``Timeline.push``."""
        self.timeline.push(self.receive(chunk))

    def receive(self, chunk: Chunk) -> Chunk:
        """Append frames, sent to the device; errors as for ``Timeline.push``."""
        accept(chunk, self.timeline.accepted)
        return replace(chunk, frames=send(chunk.frames, self.device))

    def end(self) -> None:
        """End the stream; after the last frame is emitted, the next one starts a scene."""
        self.timeline.ended = True

    def reopen(self) -> None:
        """Undo ``end`` once all frames have been emitted."""
        self.timeline.ended, self.timeline.at_scene_start = False, True
        self.timeline.accepted = None

    def next_step(self) -> Step | None:
        """The next step; None if it still waits for frames."""
        return self.timeline.next_step(self.settings, sees_end=self.facts.sees_end)

    def past(self, step: Step) -> Any:
        """The state for the next step; None at a scene start or to test for divergence."""
        fault = self.guard.check()
        if fault is not None:
            self._suspect_past(fault)
        if step.starts_scene:
            # Nothing of a scene depends on the ones before: any machine can restore any of them.
            self.guard.reset_baseline()
            self._doubt = None
        return None if step.starts_scene or self._doubt else self.state

    def take_result(self, past: Any, restored: torch.Tensor, state: Any) -> Chunk | None:
        """Take the result of a step and emit its frames.

        Args:
            past: State that the step started from.
            restored: (T, 3, H, W).
            state: State that the step returned.

        Returns:
            The restored frames; None if the step must be repeated: without the past if that
            may have caused a divergence, with it if it turned out not to be the cause.
        """
        self._count_blank(past, restored, state)
        self.guard.watch(state, restored)
        if self._caused_by_content():
            return None
        # A network that keeps no state never has a past: to wait would be to wait at every step.
        fault = self.guard.check(wait=past is None and state is not None)
        if fault is None:
            self.state = state
            return self._emit(restored, state)
        if past is not None:
            self._suspect_past(fault)
            return None
        self.guard.reset_baseline()
        if fault.finite:
            self.state = state
            return self._emit(restored, state)
        return self.pass_failed_through(len(restored), "the network output is NaN or Inf")

    def smaller(self) -> Settings | None:
        """Smaller settings, with tiles as the last resort; None if there are none.

        At least one frame must be waiting.
        """
        height, width = self.timeline.frames[0].pixels.shape[-2:]
        radius = self.facts.receptive_radius
        return self.settings.smaller() or finer(self.settings, height, width, radius)

    def shrink(self) -> bool:
        """Reduce the step sizes after memory ran out; False if that is impossible."""
        self.counts.retries += 1
        smaller = self.smaller()
        if smaller is None:
            return False
        log.warning("out of memory: going on with %s", smaller)
        self.resize(smaller)
        return True

    def resize(self, settings: Settings) -> None:
        """Change the step sizes; other tiles discard the state."""
        old, self.settings = self.settings, settings
        if old.tiles != settings.tiles and self.state is not None:
            self.counts.resets += 1
            self.state = None
            log.warning(
                "tiles %s in place of %s: the state is discarded", settings.tiles, old.tiles
            )

    def pass_failed_through(self, num_frames: int, reason: str) -> Chunk:
        """Enlarge frames that cannot be restored, so that none is dropped."""
        first = self.timeline.frames[0].pts
        log.warning("%s: %d frames from pts %d are only enlarged", reason, num_frames, first)
        self.state = self._doubt = None
        return self._enlarge(num_frames)

    def pass_through(self) -> list[Chunk]:
        """Enlarge all waiting frames; the state is kept as far as it stays valid."""
        waiting = list(self.timeline.frames)
        starts = self.timeline.at_scene_start or any(frame.starts_scene for frame in waiting)
        left = []
        while num_left := min(self.settings.chunk, len(self.timeline.frames)):
            left.append(self._enlarge(num_left))
        if waiting:
            self.state = None if starts else after_gap(self.state)
        return left

    def limit_to(self, limit: Settings) -> None:
        """Apply a limit to the step sizes; each limit once, so that they can be raised again.

        Args:
            limit: Settings to which another stream of the same frame size was reduced.
        """
        if limit is not self.limit:
            self.limit = limit
            self.resize(self.settings.within(limit))

    def _enlarge(self, num_frames: int) -> Chunk:
        self.counts.passed_through += num_frames
        return self._emit(imresize(self.timeline.window(num_frames), self.facts.scale))

    def _emit(self, restored: torch.Tensor, state: Any = None) -> Chunk:
        unmarked = self.timeline.at_scene_start and not self.timeline.frames[0].starts_scene
        guarded = self._count_guarded(state)
        chunk = self.timeline.emit(restored)
        self.counts.scenes += len(chunk.scene_starts) + unmarked
        return replace(chunk, guarded=guarded)

    def _count_guarded(self, state: Any) -> torch.Tensor | None:
        """Count frames in which artefacts were replaced, and show where, as in ``Chunk``."""
        size, tiles = self.timeline.size, self.settings.tiles
        share = None if size is None else faithful_share(state, size, tiles, self.facts)
        if share is None:
            return None
        guarded = share[0, :, 0].mul(255).round_().to(torch.uint8).cpu()
        if replaces_artefacts(state):
            self.counts.guarded += int((guarded > GUARDED).flatten(1).any(1).sum())
        return guarded

    def _suspect_past(self, fault: Divergence) -> None:
        """Repeat the step without the past, to find out whether the past caused the growth."""
        if fault.finite:
            self._doubt = fault
        else:
            self._restart(fault)

    def _count_blank(self, past: Any, restored: torch.Tensor, state: Any) -> None:
        """Count frames of a single colour made from pictures: the weights are wrong.

        As with divergence, a device is waited for at the start of a scene only, until one is found.
        """
        starts = past is None and (state is not None or restored.device.type == "cpu")
        if not starts and not self.counts.blank:
            return
        shown = self.timeline.window(len(restored))[..., ::EVERY, ::EVERY]
        every = EVERY * self.facts.scale
        blank = (_range(restored[..., ::every, ::every]) < FLAT) & (_range(shown) > TEXTURED)
        found = int(blank.sum())
        if found and not self.counts.blank:
            log.warning(
                "the network makes frames of a single colour from pictures: check its weights"
            )
        self.counts.blank += found

    def _caused_by_content(self) -> bool:
        """Whether a step without state showed that the content caused the growth."""
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return False
        if self.guard.caused_by_content(doubt):
            self.guard.reset_baseline()
            return True
        self._restart(doubt)
        return False

    def _restart(self, fault: Divergence) -> None:
        self.counts.resets += 1
        self.state = None
        next_pts = self.timeline.frames[0].pts
        log.warning("the state %s: state discarded at pts %d", fault.reason, next_pts)
