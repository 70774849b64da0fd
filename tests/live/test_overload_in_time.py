"""The quality controller over minutes, by a simulated clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from vsr.live.timing.latency_plan import CODING_S, StepSpeed, plan_latency
from vsr.live.timing.quality_controller import (
    FULL,
    NO_FACES,
    PASS_THROUGH,
    Load,
    QualityController,
    QualityLevel,
)
from vsr.models.network import NetworkFacts

FPS = 25
BUDGET_S = 0.8
ENLARGING_S = 0.005
FACTS = NetworkFacts(name="any", scale=4, look_ahead=4, chunk=8)


@dataclass
class Course:
    """What happened to the frames.

    Attributes:
        counts: Numbers of frames that were restored, passed through and skipped.
        latencies: From arrival until they left the network, in seconds.
        levels: Quality level of every frame, by name.
    """

    counts: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return sum(a != b for a, b in zip(self.levels, self.levels[1:], strict=False))

    def note_emitted(self, what: str, arrived: list[float], now: float) -> None:
        self.counts[what] += len(arrived)
        self.latencies += [now - at for at in arrived]


def run(
    frame_s: float,
    seconds: float = 120,
    believed: float = 1,
    faces_s: Callable[[float], float] | None = None,
) -> Course:
    """Frames at 25 a second through a network that takes so long for each.

    Args:
        frame_s: Seconds of a frame.
        seconds: Length of the input.
        believed: How much faster the network was when it was measured.
        faces_s: Seconds that faces of a frame take at a time of the input; None for no faces.
    """
    speed, course = StepSpeed(frame_s=frame_s, look_ahead_s=0.6 * frame_s), Course()
    measured = StepSpeed(frame_s=frame_s / believed, look_ahead_s=0.6 * frame_s / believed)
    planned_s = 0.0 if faces_s is None else faces_s(0)
    planned = StepSpeed(frame_s=measured.frame_s + planned_s, look_ahead_s=measured.look_ahead_s)
    controller = QualityController(
        plan_latency(FACTS, planned, Fraction(FPS), BUDGET_S),
        measured,
        1 / FPS,
        faces_s=None if faces_s is None else faces_s(0),
    )
    now, inside, turn = 0.0, list[float](), 0
    for number in range(round(seconds * FPS)):
        arrived = number / FPS
        now = max(now, arrived)
        if controller.should_skip(now - arrived):
            course.counts["skipped"] += 1
            continue
        inside.append(arrived)
        queued = int(now * FPS) - number
        load = Load(age_s=now - inside[0], waiting=len(inside), queued=queued)
        level = controller.decide(load, now)
        course.levels.append(level.name)
        turn = (turn + 1) % level.every
        if turn or not level.chunk:
            now += ENLARGING_S * len(inside)
            controller.note_enlarging(ENLARGING_S)
            course.note_emitted("passed", inside, now)
            inside = []
        elif len(inside) >= level.chunk + level.look_ahead:
            now += _step_s(speed, level)
            controller.note_step(_step_s(speed, level))
            if faces_s is not None:
                # While faces are left out, how many there are is not known: one is reckoned with.
                controller.faces_s = faces_s(now if level.faces else 0)
                now += level.chunk * faces_s(now) if level.faces else 0
            course.note_emitted("restored", inside[: level.chunk], now)
            inside = inside[level.chunk :]
    return course


def _step_s(speed: StepSpeed, level: QualityLevel) -> float:
    return speed.step_s(level.chunk, level.look_ahead)


@pytest.mark.parametrize("share", [4, 1.33])
def test_a_fast_network_runs_at_full_quality_all_the_time(share: float) -> None:
    course = run(1 / FPS / share)
    assert set(course.levels) == {FULL}
    assert course.counts["passed"] == course.counts["skipped"] == 0
    assert max(course.latencies) + CODING_S <= BUDGET_S


@pytest.mark.parametrize("share", [0.4, 0.5, 0.6, 0.9])
def test_an_affordable_share_of_frames_is_restored_steadily(share: float) -> None:
    course = run(1 / FPS / share)
    restored = course.counts["restored"] / course.counts.total()
    assert 0.5 * share < restored <= share
    assert course.counts["skipped"] == 0
    assert course.changes < 8
    assert max(course.latencies) + CODING_S <= BUDGET_S
    # Once it is found, nothing waits for long.
    assert max(course.latencies[-1000:]) < 0.2


def test_a_machine_that_is_busier_than_when_it_was_measured_finds_its_share() -> None:
    course = run(0.08, believed=4)
    assert set(course.levels[:100]) > {FULL}
    assert course.counts["restored"] > 0.2 * course.counts.total()
    assert course.changes < 20
    assert max(course.latencies[-1000:]) + CODING_S <= BUDGET_S


def test_faces_are_what_is_left_out_first_and_comes_back() -> None:
    """A crowd of a minute: the network continues at full quality."""
    course = run(0.012, faces_s=lambda now: 0.03 if 60 < now < 120 else 0.005, seconds=240)
    assert set(course.levels) == {FULL, NO_FACES}
    assert course.counts["passed"] == course.counts["skipped"] == 0
    assert course.levels[: 50 * FPS].count(FULL) == 50 * FPS
    assert course.levels[-50 * FPS :].count(FULL) == 50 * FPS
    assert course.levels[70 * FPS : 110 * FPS].count(NO_FACES) > 30 * FPS


def test_a_machine_without_time_for_faces_begins_without() -> None:
    course = run(0.012, faces_s=lambda _: 0.5)
    assert set(course.levels) == {NO_FACES}


def test_failing_rises_are_tried_ever_more_rarely() -> None:
    course = run(0.5, seconds=300)
    assert course.levels.count(PASS_THROUGH) > 0.98 * len(course.levels)
    assert course.changes < 20
    assert max(course.latencies) < 0.5 + BUDGET_S
