"""When a worker counts as hung: by the progress that it reports, without a cluster."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from vsr.cluster import ray_pool
from vsr.cluster.ray_pool import FIRST_STEP, PULSE_S, SILENCE_S, RayPool, _Job, _Slot


class Watched:
    """A pool with one busy worker, and a clock that only this moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.report = 1000.0, (0, 0)
        monkeypatch.setattr(ray_pool, "time", SimpleNamespace(monotonic=lambda: self.now))
        pulse = SimpleNamespace(remote=lambda: self.report)
        run = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda _: "result"))
        self.slot = _Slot(
            number=0, actor=SimpleNamespace(pulse=pulse, run=run), awaited=None, since=0.0
        )
        self.slot.facts = SimpleNamespace(name="worker")  # type: ignore[assignment]
        self.pool = pool = object.__new__(RayPool)
        pool._ray = SimpleNamespace(
            get=lambda ref: ref, exceptions=SimpleNamespace(RayError=ConnectionError)
        )
        pool._slots, pool._broken, pool._tries = [self.slot], [], 3
        pool._pulse_s, pool._silence_s = PULSE_S, SILENCE_S
        pool._busy_s, pool._steps, pool._alive = 0.0, 0, self.now
        pool._lock, pool._chosen = threading.Condition(), True
        pool._order = iter(range(9))  # type: ignore[assignment]
        task: Any = SimpleNamespace(title="film")
        pool._queue = [(0, 0, _Job(task=task))]
        pool._hand_out()

    def is_hung_after(self, seconds: float, *, seen: int, restored: int) -> bool:
        """Whether it is replaced in this time, at the end of which it has got so far."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            if self.now >= end:
                self.report = (seen, restored)
            self.pool._watch()
            if self.slot.pulse is not None:
                self.pool._take_pulse(self.slot)
        return bool(self.pool._broken)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def test_a_network_whose_steps_take_minutes_does_not_count_as_hung(watched: Watched) -> None:
    assert not watched.is_hung_after(10, seen=8, restored=0)
    for step in range(1, 6):
        assert not watched.is_hung_after(300, seen=8 + 16 * step, restored=8 * step)


def test_a_worker_without_progress_is_replaced_after_many_usual_steps(watched: Watched) -> None:
    assert not watched.is_hung_after(5, seen=8, restored=0)
    assert not watched.is_hung_after(6, seen=16, restored=8)
    assert not watched.is_hung_after(SILENCE_S - 10, seen=16, restored=8)
    assert watched.is_hung_after(30, seen=16, restored=8)


def test_a_worker_that_never_begins_is_replaced(watched: Watched) -> None:
    assert not watched.is_hung_after(FIRST_STEP * SILENCE_S - 10, seen=0, restored=0)
    assert watched.is_hung_after(30, seen=0, restored=0)
