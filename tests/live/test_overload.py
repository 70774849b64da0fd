"""Quality levels when frames come faster than they can be restored."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.live.harness import asked, look, running
from tests.live.sluggish import slow_restorer
from tests.media import audio_packets
from vsr.live.timing.latency_plan import LatencyPlan, StepSpeed, plan_latency
from vsr.live.timing.quality_controller import (
    CALM_S,
    FULL,
    NO_LOOK_AHEAD,
    PASS_THROUGH,
    SHARE,
    SHARES,
    SHORTER,
    SMALLER,
    Load,
    Policy,
    QualityController,
    quality_levels,
)
from vsr.models.architectures.baselines import Bicubic
from vsr.models.network import NetworkFacts
from vsr.restorer import Restorer

FACTS = NetworkFacts(name="any", scale=4, look_ahead=4, chunk=8)
FAST = StepSpeed(frame_s=0.001, look_ahead_s=0.001)


def test_a_latency_chooses_the_longest_look_ahead_and_then_the_largest_chunk() -> None:
    generous = plan_latency(FACTS, FAST, Fraction(25), 5.0)
    assert (generous.chunk, generous.look_ahead) == (8, 4)
    tight = plan_latency(FACTS, FAST, Fraction(25), 0.5)
    assert (tight.chunk, tight.look_ahead) == (3, 4)
    assert tight.latency_s <= 0.5
    tighter = plan_latency(FACTS, FAST, Fraction(25), 0.3)
    assert (tighter.chunk, tighter.look_ahead) == (1, 1)
    doubled = plan_latency(FACTS, FAST, Fraction(50), 0.5)
    assert doubled.chunk > tight.chunk


def test_frames_that_are_held_back_before_leave_less_time() -> None:
    progressive = plan_latency(FACTS, FAST, Fraction(25), 0.5)
    interlaced = plan_latency(FACTS, FAST, Fraction(25), 0.5, held_back=1)
    assert interlaced.chunk == progressive.chunk - 1
    assert interlaced.waiting_s == progressive.waiting_s


def test_a_network_too_slow_for_small_chunks_gets_larger_ones() -> None:
    """Look-ahead is paid once per step: in small chunks it costs more than there is time for."""
    speed = StepSpeed(frame_s=0.02, look_ahead_s=0.02)
    choice = plan_latency(FACTS, speed, Fraction(25), 0.8)
    assert choice.keeps_up
    assert choice.latency_s <= 0.8
    assert speed.step_s(choice.chunk, choice.look_ahead) < 0.8 * choice.chunk / 25


def test_steps_may_take_longer_than_when_nothing_else_ran() -> None:
    speed = StepSpeed(frame_s=0.025, look_ahead_s=0.007)
    choice = plan_latency(FACTS, speed, Fraction(25), 0.8)
    assert choice.latency_s + 0.2 * choice.restoring_s <= 0.8
    assert choice.restoring_s < 0.8 * choice.chunk / 25


def test_a_machine_that_hardly_keeps_up_gets_large_chunks_without_look_ahead() -> None:
    choice = plan_latency(FACTS, StepSpeed(frame_s=0.03, look_ahead_s=0.007), Fraction(25), 0.8)
    assert (choice.look_ahead, choice.keeps_up) == (0, False)
    assert choice.chunk > 4
    assert choice.latency_s <= 0.8


def test_a_choice_says_what_it_costs_and_when_nothing_fits() -> None:
    said = str(plan_latency(FACTS, FAST, Fraction(25), 0.5))
    assert "chunk 3, look-ahead 4" in said
    assert "of 500 ms" in said
    assert "the least this network can do" in str(plan_latency(FACTS, FAST, Fraction(25), 0.01))
    slow = plan_latency(FACTS, StepSpeed(frame_s=1, look_ahead_s=1), Fraction(25), 0.4)
    assert not slow.keeps_up
    assert "too slow" in str(slow)


def controller(policy: Policy = "degrade", frame_s: float = 0.01) -> QualityController:
    choice = LatencyPlan(
        chunk=8,
        look_ahead=4,
        waiting_s=0.44,
        restoring_s=12 * frame_s,
        budget_s=0.9,
        keeps_up=True,
    )
    return QualityController(
        choice, StepSpeed(frame_s=frame_s, look_ahead_s=frame_s), 0.04, policy=policy
    )


def test_quality_falls_in_named_steps_and_rises_again_one_by_one() -> None:
    names = [level.name for level in quality_levels(8, 4)]
    shares = [SHARE.format(n) for n in SHARES]
    assert names == [FULL, SHORTER, NO_LOOK_AHEAD, SMALLER, *shares, PASS_THROUGH]
    assert [level.name for level in quality_levels(1, 0, sees_end=True)] == [FULL, PASS_THROUGH]
    deciding, now = controller(), 100.0
    assert deciding.decide(Load(age_s=0.1, waiting=3, queued=0), now).name == FULL
    seen = []
    for age_s in (0.2, 0.54, 0.56, 0.58, 0.7):
        seen.append(deciding.decide(Load(age_s=age_s, waiting=3, queued=0), now).name)
    assert seen[-1] == PASS_THROUGH
    assert [names.index(name) for name in seen] == sorted(names.index(name) for name in seen)
    assert SMALLER in seen
    now += 2 * CALM_S
    assert deciding.decide(Load(age_s=0.7, waiting=3, queued=0), now).name == PASS_THROUGH
    calm = Load(age_s=0.0, waiting=1, queued=0)
    risen: list[str] = []
    for _ in range(60):
        now += CALM_S / 2
        level = deciding.decide(calm, now).name
        if not risen or risen[-1] != level:
            risen.append(level)
    assert risen == names[::-1]


def test_a_step_up_that_does_not_hold_is_tried_ever_later() -> None:
    deciding, now = controller(), 0.0
    late, calm = Load(age_s=2, waiting=1, queued=9), Load(age_s=0, waiting=1, queued=0)
    tried = []
    for _ in range(600):
        now += 0.1
        before = deciding.level.name
        load = calm if before == PASS_THROUGH else late
        if deciding.decide(load, now).chunk and before == PASS_THROUGH:
            tried.append(now)
    # At first it goes down step by step, each as soon as what waited has left.
    tried = [moment for moment in tried if moment > CALM_S]
    waited = [b - a for a, b in pairwise(tried)]
    assert len(waited) > 2
    assert all(later > sooner for sooner, later in pairwise(waited))


def test_the_other_policies_leave_the_quality_alone() -> None:
    late = Load(age_s=9, waiting=1, queued=9)
    skipping, blocking = controller("skip"), controller("block")
    assert skipping.decide(late, 0).name == blocking.decide(late, 0).name == FULL
    assert skipping.should_skip(9)
    assert not skipping.should_skip(0.1)
    assert not blocking.should_skip(9)


def test_a_machine_that_is_too_slow_passes_frames_through_and_counts_them(
    long_clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    with running(asked(long_clip, target, latency_s=1.5), slow_restorer()) as stream:
        stream.wait()
    tally, seen = stream.figures.tally, look(target)
    assert tally.passed_through > tally.restored
    assert tally.frames_in == 125
    assert tally.restored + tally.passed_through + tally.skipped == 125
    assert len(seen.numbers) == 125 - tally.skipped == tally.frames_out
    assert seen.numbers == sorted(seen.numbers)
    seen.assert_ordered()
    before = [payload for moment, payload in audio_packets(long_clip) if moment >= 0]
    after = [payload for _, payload in audio_packets(target)]
    assert after == before
    assert stream.figures.level not in {FULL, NO_LOOK_AHEAD, SMALLER}


def test_frames_are_left_out_and_counted_where_that_is_asked_for(
    long_clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    options = asked(long_clip, target, latency_s=1.5, on_overload="skip")
    with running(options, slow_restorer()) as stream:
        stream.wait()
    tally, seen = stream.figures.tally, look(target)
    assert tally.passed_through == 0
    assert 0 < tally.skipped < 125
    assert len(seen.numbers) == tally.restored == 125 - tally.skipped
    seen.assert_ordered()


def test_the_source_waits_where_that_is_asked_for(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    options = asked(clip, target, latency_s=0.5, on_overload="block")
    with running(options, slow_restorer(0.05)) as stream:
        stream.wait()
    tally = stream.figures.tally
    assert tally.restored == 50
    assert tally.late > 0
    assert look(target).numbers == list(range(50))


@pytest.mark.parametrize("scale", [1, 2])
def test_a_cheap_network_stays_at_full_quality(scale: int, clip: Path, tmp_path: Path) -> None:
    restorer = Restorer(Bicubic(scale=scale), device="cpu", precision="float32")
    with running(asked(clip, tmp_path / "out.mkv"), restorer) as stream:
        stream.wait()
    assert stream.figures.level == FULL
    assert stream.figures.tally.restored == 50
