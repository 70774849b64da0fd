"""Restoration within a latency, with a policy for overload."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import replace
from fractions import Fraction
from threading import Event
from typing import Any, Protocol

import torch

from vsr.engine.device_transfer import wait_for
from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.faces.loading import FaceNetworks
from vsr.live.faces import LiveFaces
from vsr.live.monitor.counted_log import CountedLog
from vsr.live.monitor.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.timing.latency_plan import LatencyPlan, StepSpeed, measure, plan_latency
from vsr.live.timing.quality_controller import (
    FULL,
    NO_FACES,
    Load,
    QualityController,
    QualityLevel,
)
from vsr.models.network import Network
from vsr.types import Chunk

log = logging.getLogger(__name__)

LASTING_S = 30.0
"""Full quality that lasted this long may be too little: another choice is considered."""


class LiveRestorer(Protocol):
    """A restorer of one stream: ``Restorer``, or a ``NetworkShare``."""

    @property
    def network(self) -> Network[Any]: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def counts(self) -> Counts: ...

    def change(self, *, chunk: int | None = None, look_ahead: int | None = None) -> None: ...

    def push(self, chunk: Chunk) -> list[Chunk]: ...

    def pass_through(self, chunk: Chunk) -> list[Chunk]: ...

    def drain(self) -> list[Chunk]: ...


class LiveRestoration:
    """Restores one live stream within its latency. Used by one thread.

    Args:
        options: Latency and policy.
        restorer: New restorer.
        figures: Figures to update.
        faces: Networks for faces; None if they are not asked for.
    """

    def __init__(
        self,
        options: StreamOptions,
        restorer: LiveRestorer,
        figures: Figures,
        faces: FaceNetworks | None = None,
    ) -> None:
        self._options, self._restorer, self._figures = options, restorer, figures
        self._faces = None if faces is None else LiveFaces(faces, self.scale, restorer.device)
        self._inside: deque[float] = deque()
        self._log = CountedLog(log)
        self._passed_before = self._turn = 0
        self._planned: tuple[int, int, Fraction, int] | None = None
        self._speeds: dict[tuple[int, int], StepSpeed] = {}
        self._size: tuple[int, int] | None = None

    @property
    def scale(self) -> int:
        """Scale of the network."""
        return self._restorer.network.facts.scale

    def plan(
        self, height: int, width: int, frame_rate: Fraction, held_back: int, stop: Event
    ) -> LatencyPlan | None:
        """Choose chunk and look-ahead for the following frames; None if unchanged.

        Raises:
            Stopped: ``stop`` was set before anything was chosen.
        """
        planned = (height, width, frame_rate, held_back)
        if planned == self._planned:
            return None
        speed = self._speed(height, width, stop)
        self._planned = planned
        choice = self._choose(speed, frame_rate, held_back)
        self._take(choice, speed, frame_rate)
        return choice

    def faces_said(self) -> str:
        """The number of faces there is time for, as text after "; "; empty without faces."""
        if self._faces is None or self._faces.cost is None:
            return ""
        face_s, spare_s = self._faces.cost.face_s, max(0.0, self._controller.spare_s())
        times = f"{1000 * face_s:.0f} ms each, a frame leaves {1000 * spare_s:.0f} ms"
        if not self._controller.level.faces:
            return f"; no time for faces ({times})"
        most = self._faces.most(spare_s)
        return f"; up to {most} face{'s' if most > 1 else ''} in a frame ({times})"

    def _choose(self, speed: StepSpeed, frame_rate: Fraction, held_back: int) -> LatencyPlan:
        facts, budget_s = self._restorer.network.facts, self._options.latency_s
        if self._faces is not None:
            faces_s = self._faces.frame_s
            loaded = replace(speed, frame_s=speed.frame_s + faces_s)
            choice = plan_latency(facts, loaded, frame_rate, budget_s, held_back=held_back)
            if choice.keeps_up and choice.latest_s <= budget_s:
                return choice
        return plan_latency(facts, speed, frame_rate, budget_s, held_back=held_back)

    def _take(self, choice: LatencyPlan, speed: StepSpeed, frame_rate: Fraction) -> None:
        self._choice, self._full_since = choice, time.monotonic()
        self._controller = QualityController(
            choice,
            speed,
            float(1 / frame_rate),
            sees_end=self._restorer.network.facts.sees_end,
            policy=self._options.on_overload,
            faces_s=None if self._faces is None else self._faces.frame_s,
        )
        self._figures.level = self._controller.level.name
        self._restorer.change(chunk=choice.chunk, look_ahead=choice.look_ahead)

    def _speed(self, height: int, width: int, stop: Event) -> StepSpeed:
        """The speed measured for the first size; for other sizes estimated from it.

        Whatever a source changes to in the middle, the output does not wait for a measurement; the
        real duration of steps is learnt from them.
        """
        if self._size is not None:
            self._speeds[self._size] = self._controller.speed
        size = (height, width)
        if self._faces is not None:
            self._faces.measure(height, width)
        if not self._speeds:
            network, device = self._restorer.network, self._restorer.device
            self._speeds[size] = measure(network, device, height, width, stop)
        elif size not in self._speeds:
            (rows, columns), speed = next(iter(self._speeds.items()))
            self._speeds[size] = speed.scaled(height * width / (rows * columns))
        self._size = size
        return self._speeds[size]

    def should_skip(self, at: float) -> bool:
        """Whether to drop a frame with this arrival time."""
        return self._controller.should_skip(time.monotonic() - at)

    def push(self, chunk: Chunk, at: float, queued: int) -> list[Chunk]:
        """Push a frame and return the frames that can be emitted.

        On CUDA this waits for the result, because the quality controller needs its time.

        Args:
            chunk: One frame.
            at: Arrival time.
            queued: Number of frames that have arrived after it.
        """
        self._inside.append(at)
        level, began = self._decide(queued), time.perf_counter()
        if not self._restores(level):
            enlarged = self._restorer.pass_through(chunk)
            wait_for(self._restorer.device)
            self._controller.note_enlarging((time.perf_counter() - began) / len(self._inside))
            return self._left(self._with_faces(enlarged, allowed=False))
        restored = self._restorer.push(chunk)
        if restored:
            wait_for(self._restorer.device)
            self._controller.note_step((time.perf_counter() - began) / len(restored))
        return self._left(self._with_faces(restored, allowed=level.faces))

    def drain(self) -> list[Chunk]:
        """Return the waiting frames; another scene follows."""
        waiting = self._restorer.drain()
        if not waiting:  # perhaps nothing was planned yet
            return []
        return self._left(self._with_faces(waiting, allowed=self._controller.level.faces))

    def _with_faces(self, chunks: list[Chunk], *, allowed: bool) -> list[Chunk]:
        """The chunks with their faces restored where there is time; frames without are counted."""
        if self._faces is None or not chunks:
            return chunks
        tally, shown = self._figures.tally, []
        for chunk in chunks:
            if allowed:
                pushed, num_faces = self._faces.push(chunk, self._controller.spare_s())
                tally.faces += num_faces
                shown.append(pushed)
            else:
                self._faces.leave_out()
                tally.without_faces += len(chunk)
                shown.append(chunk)
        tally.faces_left_out = self._faces.num_without_time
        self._controller.faces_s = self._faces.frame_s
        return shown

    def _restores(self, level: QualityLevel) -> bool:
        self._turn = (self._turn + 1) % level.every
        return level.chunk > 0 and self._turn == 0

    def _decide(self, queued: int) -> QualityLevel:
        now = time.monotonic()
        load = Load(age_s=now - self._inside[0], waiting=len(self._inside), queued=queued)
        before = self._controller.level
        level = self._controller.decide(load, now)
        name = self._options.name
        self._log.catch_up("level", f"{name}: {level.name} now", now)
        if level is not before:
            self._log.warning("level", f"{name}: {level.name}, after {before.name}", now)
            self._figures.tally.level_changes += 1
            self._figures.level = level.name
            if level.chunk:
                self._restorer.change(chunk=level.chunk, look_ahead=level.look_ahead)
        if level.name not in (FULL, NO_FACES):
            self._full_since = now
        elif now - self._full_since > LASTING_S:
            self._look_further(now)
        return self._controller.level

    def _look_further(self, now: float) -> None:
        """Plan again, because a measurement under load underestimates the machine."""
        assert self._planned is not None
        *_, frame_rate, held_back = self._planned
        self._full_since, speed = now, self._controller.speed
        choice = self._choose(speed, frame_rate, held_back)
        if choice.keeps_up and choice.look_ahead > self._choice.look_ahead:
            log.warning("%s: %s, as there is time for it", self._options.name, choice)
            self._take(choice, speed, frame_rate)

    def _left(self, chunks: list[Chunk]) -> list[Chunk]:
        """Count emitted frames."""
        tally, passed = self._figures.tally, self._restorer.counts.passed_through
        num_frames = sum(len(chunk) for chunk in chunks)
        tally.passed_through += passed - self._passed_before
        tally.restored += num_frames - (passed - self._passed_before)
        self._passed_before = passed
        for _ in range(num_frames):
            self._inside.popleft()
        return chunks
