"""Frames through the network, in time or else by what the policy says."""

from __future__ import annotations

import logging
import time
from collections import deque
from fractions import Fraction
from threading import Event
from typing import Any, Protocol

import torch

from vsr.engine.settings import Settings
from vsr.engine.stream import Counts
from vsr.live.figures import Figures
from vsr.live.options import StreamOptions
from vsr.live.overload import Governor, Level, Load
from vsr.live.plan import Choice, Speed, choose, measure
from vsr.models.network import Network
from vsr.types import Chunk

log = logging.getLogger(__name__)


class Restoring(Protocol):
    """What restores the stream: a ``Restorer``, or a share of one for several streams."""

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


class Restoration:
    """The network's part of one stream. Used by one thread.

    Args:
        options: Latency and policy.
        restorer: Fresh.
        figures: Kept up to date.
    """

    def __init__(self, options: StreamOptions, restorer: Restoring, figures: Figures) -> None:
        self._options, self._restorer, self._figures = options, restorer, figures
        self._inside: deque[float] = deque()
        self._passed_before = self._turn = 0
        self._planned: tuple[int, int, Fraction, int] | None = None
        self._timed: tuple[int, int] | None = None

    @property
    def scale(self) -> int:
        """Of the network."""
        return self._restorer.network.facts.scale

    def plan(
        self, height: int, width: int, frame_rate: Fraction, held_back: int, stop: Event
    ) -> Choice | None:
        """Choose chunk and look-ahead for what follows; None where nothing has changed.

        Raises:
            Stopped: ``stop`` was set before anything was chosen.
        """
        planned = (height, width, frame_rate, held_back)
        if planned == self._planned:
            return None
        network, speed = self._restorer.network, self._speed(height, width, stop)
        self._planned = planned
        budget_s = self._options.latency_s
        choice = choose(network.facts, speed, frame_rate, budget_s, held_back=held_back)
        self._governor = Governor(
            choice,
            speed,
            float(1 / frame_rate),
            sees_end=network.facts.sees_end,
            policy=self._options.on_overload,
        )
        self._figures.level = self._governor.level.name
        self._restorer.change(chunk=choice.chunk, look_ahead=choice.look_ahead)
        return choice

    def _speed(self, height: int, width: int, stop: Event) -> Speed:
        if self._timed == (height, width):
            return self._governor.speed
        speed = measure(self._restorer.network, self._restorer.device, height, width, stop)
        self._timed = (height, width)
        return speed

    def skips(self, at: float) -> bool:
        """Whether a frame that arrived then is left out."""
        return self._governor.skips(time.monotonic() - at)

    def push(self, chunk: Chunk, at: float, queued: int) -> list[Chunk]:
        """Take a frame, and return those that can leave.

        Args:
            chunk: One frame.
            at: When it arrived.
            queued: What has arrived behind it.
        """
        self._inside.append(at)
        level, began = self._decide(queued), time.perf_counter()
        if not self._restores(level):
            enlarged = self._restorer.pass_through(chunk)
            self._governor.learn_enlarging((time.perf_counter() - began) / len(self._inside))
            return self._left(enlarged)
        restored = self._restorer.push(chunk)
        if restored:
            self._governor.learn((time.perf_counter() - began) / len(restored))
        return self._left(restored)

    def drain(self) -> list[Chunk]:
        """Return what waits; another scene follows."""
        return self._left(self._restorer.drain())

    def _restores(self, level: Level) -> bool:
        self._turn = (self._turn + 1) % level.every
        return level.chunk > 0 and self._turn == 0

    def _decide(self, queued: int) -> Level:
        now = time.monotonic()
        load = Load(age_s=now - self._inside[0], waiting=len(self._inside), queued=queued)
        before = self._governor.level
        level = self._governor.decide(load, now)
        if level is not before:
            log.warning("%s: %s, after %s", self._options.name, level.name, before.name)
            self._figures.level = level.name
            if level.chunk:
                self._restorer.change(chunk=level.chunk, look_ahead=level.look_ahead)
        return level

    def _left(self, chunks: list[Chunk]) -> list[Chunk]:
        """Count frames that leave."""
        tally, passed = self._figures.tally, self._restorer.counts.passed_through
        num_frames = sum(len(chunk) for chunk in chunks)
        tally.passed_through += passed - self._passed_before
        tally.restored += num_frames - (passed - self._passed_before)
        self._passed_before = passed
        for _ in range(num_frames):
            self._inside.popleft()
        return chunks
