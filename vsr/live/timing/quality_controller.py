"""Quality controller: lowers quality levels under overload.

Quality falls in named levels, each as soon as waiting frames would otherwise be late,
and rises one by one after a calm period. A rise that fails is tried again ever later.
If no level would be in time, frames are enlarged until the queue is empty, and the next level
down that the machine can sustain follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vsr.live.timing.latency_plan import CODING_S, LatencyPlan, StepSpeed

Policy = Literal["degrade", "skip", "block"]
"""``degrade`` lowers the quality, ``skip`` leaves frames out, ``block`` lets the source wait."""

FULL, NO_FACES = "full", "no faces"
NO_LOOK_AHEAD, PASS_THROUGH = "no look-ahead", "pass-through"
SHORTER, SMALLER, SHARE = "shorter look-ahead", "smaller chunk", "one frame in {}"

SHARES = (2, 3, 4)
"""The last quality levels restore one frame out of so many, before none is restored."""

CALM_S = 2.0
"""Time without late frames before a step up."""

LONGEST_CALM_S = 60.0

HELD_S = 20.0
"""A step up that lasts this long was right."""

ROOM = 0.9
"""Share of the time that restoring may take at a step that is gone to."""

CAUGHT_UP = 2
"""Frames' time that may have passed since a frame came for nothing to count as waiting."""


@dataclass(frozen=True, kw_only=True)
class QualityLevel:
    """A quality level.

    Attributes:
        name: Displayed name.
        chunk: Frames restored per step; 0 if frames are only enlarged.
        look_ahead: Look-ahead in frames.
        every: One of this many frames is restored; the others are only enlarged.
        faces: Whether faces are restored.
    """

    name: str
    chunk: int
    look_ahead: int
    every: int = 1
    faces: bool = False


@dataclass(frozen=True, kw_only=True)
class Load:
    """The waiting frames.

    Attributes:
        age_s: Seconds since the arrival of the oldest unrestored frame.
        waiting: Frames waiting at the network, including the current one.
        queued: Frames that have arrived after them.
    """

    age_s: float
    waiting: int
    queued: int


def quality_levels(
    chunk: int, look_ahead: int, *, sees_end: bool = False, faces: bool = False
) -> list[QualityLevel]:
    """The quality levels from full quality down, without duplicates.

    Args:
        chunk: Chunk at full quality.
        look_ahead: Look-ahead at full quality.
        sees_end: As in ``NetworkFacts``: such a network cannot restore a single frame.
        faces: Whether faces are restored at full quality.
    """
    levels = [QualityLevel(name=FULL, chunk=chunk, look_ahead=look_ahead, faces=faces)]
    if faces:
        levels.append(QualityLevel(name=NO_FACES, chunk=chunk, look_ahead=look_ahead))
    if look_ahead > 1:
        levels.append(QualityLevel(name=SHORTER, chunk=chunk, look_ahead=look_ahead // 2))
    if look_ahead > 0:
        levels.append(QualityLevel(name=NO_LOOK_AHEAD, chunk=chunk, look_ahead=0))
    if chunk > 1:
        levels.append(QualityLevel(name=SMALLER, chunk=max(1, chunk // 2), look_ahead=0))
    if not sees_end:
        levels += [
            QualityLevel(name=SHARE.format(n), chunk=1, look_ahead=0, every=n) for n in SHARES
        ]
    return [*levels, QualityLevel(name=PASS_THROUGH, chunk=0, look_ahead=0)]


class QualityController:
    """Chooses the quality level for each frame. Used by one thread.

    Args:
        choice: Plan at full quality.
        speed: Measured speed.
        period_s: Seconds between frames.
        sees_end: As in ``NetworkFacts``.
        policy: Policy under overload.
        faces_s: Seconds that faces take in each frame; None if they are not asked for. Where there
            is no time for them it begins without.

    Attributes:
        speed: The given speed, updated by measured steps.
        faces_s: The given time of faces, to be updated.
    """

    def __init__(
        self,
        choice: LatencyPlan,
        speed: StepSpeed,
        period_s: float,
        *,
        sees_end: bool = False,
        policy: Policy = "degrade",
        faces_s: float | None = None,
    ) -> None:
        self.speed, self.faces_s = speed, faces_s
        self._levels = quality_levels(
            choice.chunk, choice.look_ahead, sees_end=sees_end, faces=faces_s is not None
        )
        self._enlarging_s = 0.0
        self._period_s, self._sees_end, self._policy = period_s, sees_end, policy
        # A choice that cannot keep to the latency is not held against the frames.
        self._limit_s = max(choice.budget_s, choice.latency_s) - CODING_S
        self._index = 0 if faces_s is None or faces_s <= self.spare_s() else 1
        self._calm_s = CALM_S
        self._calm_since: float | None = None
        self._behind_since: float | None = None
        self._rose_at = float("-inf")

    @property
    def level(self) -> QualityLevel:
        """The current level."""
        return self._levels[self._index if self._behind_since is None else -1]

    def spare_s(self) -> float:
        """Seconds that each frame may take beside the network at full quality."""
        full = self._levels[0]
        network_s = self.speed.step_s(full.chunk, full.look_ahead)
        needed = full.chunk + full.look_ahead + self._sees_end
        in_time_s = self._limit_s - (needed - 1) * self._period_s
        return min(ROOM * self._period_s * full.chunk, in_time_s) / full.chunk - (
            network_s / full.chunk
        )

    def decide(self, load: Load, now: float) -> QualityLevel:
        """Choose the level for the current load."""
        if self._policy == "skip" and self.level.faces and not self._in_time(load, self.level):
            return self._levels[1]
        if self._policy != "degrade":
            return self.level
        if self._behind_since is not None:
            self._catch_up(load, now, self._behind_since)
        elif not self._in_time(load, self.level):
            self._fall(load, now)
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._calm_s:
            self._rise(load, now)
        return self.level

    def should_skip(self, age_s: float) -> bool:
        """Whether to drop a frame of this age.

        Args:
            age_s: Seconds since its arrival.
        """
        if self._policy == "skip":
            first_without_faces = self._levels[0 if self.faces_s is None else 1]
            return age_s + self._step_s(first_without_faces) > self._limit_s
        return self._policy == "degrade" and not self.level.chunk and age_s > self._limit_s

    def note_step(self, took_s: float) -> None:
        """Update the speed with a step at the current level."""
        if self.level.chunk:
            self.speed = self.speed.adapted(self.level.chunk, self.level.look_ahead, took_s)

    def note_enlarging(self, took_s: float) -> None:
        """Update the time needed to enlarge a frame."""
        self._enlarging_s += (took_s - self._enlarging_s) / 8

    def _in_time(self, load: Load, level: QualityLevel) -> bool:
        if not level.chunk:
            return load.age_s < self._limit_s / 2
        needed = level.chunk + level.look_ahead + self._sees_end
        begins_s = load.age_s
        if load.waiting + load.queued < needed:
            begins_s = max(begins_s, (needed - 1) * self._period_s)
        return begins_s + self._step_s(level) <= self._limit_s

    def _step_s(self, level: QualityLevel) -> float:
        restoring_s = self.speed.step_s(level.chunk, level.look_ahead)
        faces_s = level.chunk * (self.faces_s or 0.0) if level.faces else 0.0
        return restoring_s + faces_s + (level.every - 1) * self._enlarging_s

    def _fall(self, load: Load, now: float) -> None:
        if self.level.chunk and now - self._rose_at < HELD_S:
            self._calm_s = min(2 * self._calm_s, LONGEST_CALM_S)
        self._calm_since = None
        lower = range(self._index + 1, len(self._levels) - 1)
        fast_enough = [index for index in lower if self._has_room(self._levels[index])]
        in_time = [index for index in fast_enough if self._in_time(load, self._levels[index])]
        if fast_enough and not in_time:
            self._behind_since = now
        self._index = [*in_time, *fast_enough, len(self._levels) - 1][0]

    def _catch_up(self, load: Load, now: float, since: float) -> None:
        if load.age_s <= CAUGHT_UP * self._period_s:
            self._behind_since = None
        elif now - since > CALM_S:
            self._behind_since, self._index = None, len(self._levels) - 1

    def _rise(self, load: Load, now: float) -> None:
        self._calm_since = now
        if now - self._rose_at > max(HELD_S, 2 * self._calm_s):
            self._calm_s = CALM_S
        # From pass-through there is nothing to go by: what was slow then may be fast now.
        if self._index and (not self.level.chunk or self._has_room(self._levels[self._index - 1])):
            self._index -= 1
            self._rose_at = now

    def _has_room(self, level: QualityLevel) -> bool:
        return self._step_s(level) <= ROOM * level.chunk * level.every * self._period_s
